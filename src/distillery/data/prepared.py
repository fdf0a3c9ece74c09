"""Reads prepared data sets into memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow.parquet as pq
import torch
from pyarrow import csv
from torch import Tensor

from distillery.data.card import Card, Part, part_file
from distillery.errors import DamagedArtifact, UserError

if TYPE_CHECKING:
    from distillery.artifacts import Artifact

__all__ = ["Card", "ImageSet", "load", "load_training"]


@dataclass(frozen=True)
class ImageSet:
    """Images in memory.

    Attributes:
        images: (N, H, W, C) uint8.
        labels: (N,) int64.
        index: (N,) int64, places in the canonical part, increasing.
    """

    images: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> ImageSet:
        """Return the same images on ``device``."""
        return ImageSet(self.images.to(device), self.labels.to(device), self.index.to(device))


def load(prepared: Artifact, part: Part, index: np.ndarray | None = None) -> ImageSet:
    """Read a part of a data set, or some images of it.

    Memory is that of the images asked for and of one row group.

    Args:
        prepared: a run of the stage ``prepare``.
        part: which part.
        index: (n,) strictly increasing places in the part; all when not given.

    Raises:
        DamagedArtifact: the file does not hold what the card says.
        ValueError: ``index`` is not increasing or leaves the part.
    """
    card = Card.load(prepared)
    path = prepared.file(part_file(part))
    count = card.counts[part]
    index = np.arange(count) if index is None else np.array(index, dtype=np.int64)
    if len(index) and (index[0] < 0 or index[-1] >= count or (np.diff(index) <= 0).any()):
        raise ValueError(f"the index must increase from 0 to {count - 1}")
    images = np.empty((len(index), *card.shape), dtype=np.uint8)
    labels = np.empty(len(index), dtype=np.int64)
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        if file.metadata.num_rows != count:
            raise DamagedArtifact(f"{path}: {file.metadata.num_rows} images instead of {count}")
        if file.schema_arrow.field("image").type.byte_width != card.image_bytes:
            raise DamagedArtifact(f"{path}: images are not of the shape {card.shape}")
        start = 0
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["label", "image"]).combine_chunks()
            first, last = np.searchsorted(index, (start, start + len(table)))
            rows = index[first:last] - start
            pixels = np.frombuffer(table["image"].chunk(0).buffers()[1], dtype=np.uint8)
            images[first:last] = pixels.reshape(-1, *card.shape)[rows]
            labels[first:last] = table["label"].to_numpy()[rows]
            start += len(table)
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(card.classes):
        raise DamagedArtifact(f"{path}: labels leave the range of the {len(card.classes)} classes")
    return ImageSet(*(torch.from_numpy(array) for array in (images, labels, index)))


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
    if not len(table):
        raise UserError(f"{path}: no images; set data.split.validation_fraction above 0")
    images = load(prepared, "train", table["index"].to_numpy())
    if not np.array_equal(images.labels.numpy(), table["label"].to_numpy()):
        raise DamagedArtifact(f"{path}: its labels are not those of {prepared.path}")
    return images
