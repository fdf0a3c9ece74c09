"""Reads prepared data sets, into memory if they are small enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow.parquet as pq
import torch
from pyarrow import csv
from torch import Tensor

from distillery.core.columns import require_columns
from distillery.core.errors import DamagedArtifact, UserError
from distillery.data.info import DataSetInfo, Part, part_file, stream_file
from distillery.data.stored import StoredImages

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

__all__ = ["DataSetInfo", "ImageSet", "load", "load_training"]


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels.

    Attributes:
        images: (N, H, W, C) uint8, in memory or read from disk when they are indexed.
        labels: (N,) int64.
        index: (N,) int64, positions in the canonical part, increasing.
    """

    images: Tensor | StoredImages
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def of_channels(self, channels: Sequence[int] | None) -> ImageSet:
        """Return the same images with these channels alone; None for all of them."""
        if channels is None:
            return self
        if isinstance(self.images, Tensor):
            return ImageSet(self.images[..., list(channels)], self.labels, self.index)
        return ImageSet(self.images.of_channels(channels), self.labels, self.index)

    def to(self, device: torch.device | str) -> ImageSet:
        """Return the same images on ``device``."""
        return ImageSet(self.images.to(device), self.labels.to(device), self.index.to(device))

    def batches(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the images (B, H, W, C) of each batch of rows, (B,) on the CPU.

        While a batch is used, the next one is read if the images are on disk.
        """
        if isinstance(self.images, StoredImages):
            return self.images.batches(rows)
        images = self.images
        # Four times as fast as indexing on a CPU, which copies pixel by pixel.
        return (images.index_select(0, each.to(images.device)) for each in rows)


def load(prepared: Artifact, part: Part, index: np.ndarray | None = None) -> ImageSet:
    """Read a part of a data set, or some images of it.

    Memory is that of the images asked for and of one row group; images that ``prepare`` left to be
    streamed stay on disk.

    Args:
        prepared: a run of the stage ``prepare``.
        part: which part.
        index: (n,) strictly increasing positions in the part; all when not given.

    Raises:
        DamagedArtifact: the files do not hold what the description of the set says.
        ValueError: ``index`` is not increasing or leaves the part.
    """
    info = DataSetInfo.load(prepared)
    path = prepared.file(part_file(part))
    count = info.counts[part]
    index = np.arange(count) if index is None else np.array(index, dtype=np.int64)
    if len(index) and (index[0] < 0 or index[-1] >= count or (np.diff(index) <= 0).any()):
        raise ValueError(f"the index must increase from 0 to {count - 1}")
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        if file.metadata.num_rows != count:
            raise DamagedArtifact(f"{path}: {file.metadata.num_rows} images instead of {count}")
        require_columns(path, file.schema_arrow.names, ("label",))
        labels = file.read(columns=["label"])["label"].to_numpy()[index].astype(np.int64)
        images = (
            _in_memory(file, path, index, info.shape)
            if "image" in file.schema_arrow.names
            else _on_disk(prepared.file(stream_file(part)), index, (count, *info.shape))
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(info.classes):
        raise DamagedArtifact(f"{path}: labels leave the range of the {len(info.classes)} classes")
    return ImageSet(images, torch.from_numpy(labels), torch.from_numpy(index))


def _in_memory(
    file: pq.ParquetFile, path: Path, index: np.ndarray, shape: tuple[int, int, int]
) -> Tensor:
    """Read images (n, H, W, C) row group by row group."""
    if file.schema_arrow.field("image").type.byte_width != math.prod(shape):
        raise DamagedArtifact(f"{path}: images are not of the shape {shape}")
    images = np.empty((len(index), *shape), dtype=np.uint8)
    start = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=["image"]).combine_chunks()
        first, last = np.searchsorted(index, (start, start + len(table)))
        pixels = np.frombuffer(table["image"].chunk(0).buffers()[1], dtype=np.uint8)
        images[first:last] = pixels.reshape(-1, *shape)[index[first:last] - start]
        start += len(table)
    return torch.from_numpy(images)


def _on_disk(path: Path, index: np.ndarray, shape: tuple[int, ...]) -> StoredImages:
    images = StoredImages(path, index)
    if images.stored != shape:
        raise DamagedArtifact(f"{path}: holds images {images.stored}, not {shape}")
    return images


def load_training(
    prepared: Artifact, split: Artifact, part: Literal["train", "validation"] = "train"
) -> ImageSet:
    """Read the images that a split puts into its training or validation set.

    Raises:
        UserError: the split holds nothing out for validation.
        DamagedArtifact: the split was made from another data set.
    """
    path = split.file(f"{part}.csv")
    table = csv.read_csv(path)
    require_columns(path, table.column_names, ("index", "label"))
    if not len(table):
        raise UserError(f"{path}: no images; set data.split.validation_fraction above 0")
    index, count = table["index"].to_numpy(), DataSetInfo.load(prepared).counts["train"]
    if index.min() < 0 or index.max() >= count:
        raise DamagedArtifact(f"{path}: has other images than the {count} of {prepared.path}")
    images = load(prepared, "train", index)
    if not np.array_equal(images.labels.numpy(), table["label"].to_numpy()):
        raise DamagedArtifact(f"{path}: its labels are not those of {prepared.path}")
    return images
