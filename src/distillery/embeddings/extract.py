"""The stage ``extract``: what a frozen network makes of the images of another data set.

Each network looks at a data set once, and every probe reads what it said. ``train.parquet`` and
``test.parquet`` have the columns ``label`` (int64) and ``embedding`` (fixed-size list of float32),
in the order of the part.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distillery.core.columns import as_column, as_matrix, read_columns
from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo, Part, part_file

if TYPE_CHECKING:
    from torch import Tensor

    from distillery.data.prepared import ImageSet
    from distillery.models.base import Classifier
    from distillery.runs.artifact import Artifact
    from distillery.runs.produce import Workspace

Normalisation = Literal["target", "network", "half"]
"""Mean and deviation that pixels are normalised with: of the images' own data set, of the one that
the network was trained on, or one half each for all channels."""


class Settings(FrozenModel):
    """Settings of the stage."""

    normalisation: Normalisation
    """Which mean and deviation to take."""


class Features(NamedTuple):
    """What a network makes of a part of a data set.

    Attributes:
        labels: (N,) int64.
        embedding: (N, D) float32, unaugmented images before the classifier.
    """

    labels: np.ndarray
    embedding: np.ndarray


def run(work: Workspace) -> None:
    """Write ``train.parquet`` and ``test.parquet``.

    Inputs: ``network``, ``source``, the data set that it was trained on, and ``prepared``, the one
    to look at; it is an error if the network cannot see these images.
    """
    from distillery.core.devices import device_for_inference
    from distillery.data.prepared import load
    from distillery.models.weights import channels_of, load_network

    trained, source, target = (work.inputs[name] for name in ("network", "source", "prepared"))
    settings = Settings.model_validate(work.run.settings)
    info = seen_info(trained, source, target, settings.normalisation)
    device = device_for_inference(work.record)
    network = load_network(trained, DataSetInfo.load(source)).to(device)
    parts: tuple[Part, ...] = ("train", "test")
    for part in parts:
        images = load(target, part).of_channels(channels_of(trained)).to(device)
        _write(work.out / part_file(part), network, images, info)


def read(extracted: Artifact, part: Part) -> Features:
    """Read what a run of this stage says of a part."""
    table = read_columns(extracted.file(part_file(part)), ("label", "embedding"))
    return Features(table["label"].to_numpy(), as_matrix(table["embedding"]))


def seen_info(
    trained: Artifact, source: Artifact, target: Artifact, normalisation: Normalisation
) -> DataSetInfo:
    """Return the info of a data set as a network sees it.

    Args:
        trained: the network.
        source: the data set that it was trained on.
        target: the data set that it is to see.
        normalisation: which mean and deviation to take.

    Returns:
        The target's info with the size of the source's images, the network's channels, and this
        mean and deviation.

    Raises:
        UserError: the channels mean something else in the two sets, or the network's own images
            are no squares.
    """
    from distillery.data.settings import PrepareSettings
    from distillery.models.settings import architecture_of

    own, info = DataSetInfo.load(source), DataSetInfo.load(target)
    if own.shape[2] != info.shape[2]:
        raise UserError(
            f"data set '{info.name}': its images have {_counted(info)}, those of the network "
            f"{_counted(own)}; both need as many (see `channels` of the data sets)"
        )
    learned, found = (
        PrepareSettings.model_validate(each.settings).colour for each in (source, target)
    )
    if learned != found:
        raise UserError(
            f"data set '{info.name}': its `colour` is {found}, but the network has learned "
            f"from {learned}; give both sets the same"
        )
    if own.shape[:2] != info.shape[:2] and own.shape[0] != own.shape[1]:
        raise UserError(
            f"data set '{own.name}': only squares can be resized to, not {own.shape[0]} x "
            f"{own.shape[1]} pixels; set its `image_size`"
        )
    half = (0.5,) * info.shape[2]
    chosen = {"target": info, "network": own}.get(normalisation)
    seen = {
        "shape": (*own.shape[:2], info.shape[2]),
        "mean": chosen.mean if chosen else half,
        "std": chosen.std if chosen else half,
    }
    shown = info.model_copy(update=seen)
    architecture = architecture_of(trained)
    if normalisation == "network":
        return architecture.seen(shown)
    return shown.of_channels(architecture.channels)


def resized(images: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return whole images at another size, with the filter that random boxes are resized with.

    Args:
        images: (B, H, W, C) uint8.
        shape: height and width to bring them to: a square, or those that they have.

    Returns:
        (B, *shape, C) uint8; other proportions are lost.
    """
    import torch

    from distillery.data.boxes import Boxes, resize_boxes

    batch, height, width, _ = images.shape
    if (height, width) == shape:
        return images
    corner = torch.zeros(batch, dtype=torch.int64, device=images.device)
    whole = Boxes(corner, corner, corner + height, corner + width, flip=corner.bool())
    return resize_boxes(images, whole, shape[0])


def _write(path: Path, network: Classifier, images: ImageSet, info: DataSetInfo) -> None:
    """Write one part; memory is that of a batch beside the images."""
    schema = pa.schema(
        [("label", pa.int64()), ("embedding", pa.list_(pa.float32(), network.embedding_dim))]
    )
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
    ) as writer:
        for labels, embedding in _embeddings(network, images, info):
            columns = [pa.array(labels), as_column(embedding)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _embeddings(
    network: Classifier, images: ImageSet, info: DataSetInfo
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the labels (B,) and embeddings (B, D) of each batch.

    Raises:
        Diverged: an embedding is not finite.
    """
    from distillery.models.inference import (
        batch_size,
        in_batches,
        infer,
        normalised,
        not_finite,
    )

    batches = in_batches(len(images), batch_size(images, info.shape[0]))
    found = infer(network, images, info, batches, lambda _, pixels: resized(pixels, info.shape[:2]))
    for rows, out in zip(batches, found, strict=True):
        if not out.embedding.isfinite().all():
            shown = normalised(images, info, [rows], lambda _, each: resized(each, info.shape[:2]))
            raise not_finite(network, shown, f"the network, on images of '{info.name}'")
        yield images.labels.cpu()[rows].numpy(), out.embedding.float().cpu().numpy()


def _counted(info: DataSetInfo) -> str:
    return "1 channel" if info.shape[2] == 1 else f"{info.shape[2]} channels"
