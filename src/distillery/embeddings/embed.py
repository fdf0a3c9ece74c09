"""The stage ``embed``: run the teacher once over every slot and store what it says."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from distillery.core.devices import device_for_inference
from distillery.core.errors import Diverged
from distillery.core.files import checksum, require_space
from distillery.core.progress import Progress
from distillery.core.settings import FrozenModel
from distillery.data.augmentation import apply_views, crop_parameters
from distillery.data.prepared import DataSetInfo, ImageSet, load_training
from distillery.data.settings import Augmentation
from distillery.embeddings.settings import ViewOrder
from distillery.embeddings.slots import slot_bytes, slot_name, write_slot
from distillery.embeddings.views import ViewSchedule
from distillery.models.base import Classifier
from distillery.models.inference import (
    Prepare,
    batch_size,
    in_batches,
    infer,
    normalised,
    not_finite,
)
from distillery.models.settings import architecture_of
from distillery.models.weights import load_network

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace

PRECISIONS = {"half": torch.float16, "single": torch.float32}


class Settings(FrozenModel):
    """Settings of the stage."""

    views: ViewOrder
    """Which view of each image a slot holds."""
    augmentation: Augmentation
    """How training images are varied, with nothing left open."""
    precision: Literal["half", "single"]
    """Storage of logits and embeddings."""


def run(work: Workspace) -> None:
    """Write the slots that are not there yet; an interrupted cache goes on with the next one.

    A slot that is not what an earlier start has written, to the bit, is computed again.
    """
    settings = Settings.model_validate(work.run.settings)
    prepared, split, teacher = (work.inputs[name] for name in ("prepared", "split", "teacher"))
    augmentation = settings.augmentation
    schedule = ViewSchedule(augmentation.views, settings.views.slots, settings.views.seed)
    device = device_for_inference(work.record)
    info, architecture = DataSetInfo.load(prepared), architecture_of(teacher)
    seen = architecture.seen(info)
    images = load_training(prepared, split).of_channels(architecture.channels).to(device)
    network = load_network(teacher, info).to(device).to(memory_format=torch.channels_last)
    metadata = {"teacher": teacher.key, "prepared": prepared.key, "split": split.key}
    index = images.index.cpu().numpy()
    missing = [slot for slot in range(schedule.slots) if not _is_whole(work, slot_name(slot))]
    dtype = PRECISIONS[settings.precision]
    width = len(info.classes) + network.embedding_dim
    size = slot_bytes(len(index), width, dtype.itemsize, boxes=augmentation.kind != "crop")
    require_space(work.out, len(missing) * size)

    def write(slot: int, views: Tensor, logits: np.ndarray, embedding: np.ndarray) -> None:
        crops = crop_parameters(views, augmentation, info.shape[:2])
        path = work.out / slot_name(slot)
        write_slot(path, index, views, crops, logits, embedding, metadata)
        _note_of(work, path.name).write_text(checksum(path), encoding="ascii")

    # A slot is written while the next one is computed; no third one is in memory.
    with (
        Progress("slots", schedule.slots, schedule.slots - len(missing), work.scratch) as progress,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="slot") as beside,
    ):
        written: Future[None] | None = None
        for slot in missing:
            views = torch.from_numpy(schedule.view(slot, index))
            found = outputs(network, images, seen, augmentation, views, dtype)
            if written is not None:
                written.result()
            written = beside.submit(write, slot, views, *found)
            progress.advance()
        if written is not None:
            written.result()
    work.write_json(
        "cache.json",
        {
            "arch": architecture.arch,
            "images": len(index),
            "image_shape": info.shape[:2],
            "classes": len(info.classes),
            "embedding_dim": network.embedding_dim,
            "slots": schedule.slots,
        },
    )


def _note_of(work: Workspace, name: str) -> Path:
    """Return the file that has the checksum of a slot until the cache is published."""
    return work.scratch / f"{name}.sha256"


def _is_whole(work: Workspace, name: str) -> bool:
    """Tell whether a slot is there, as it was written."""
    path, note = work.out / name, _note_of(work, name)
    written = path.exists() and note.exists()
    return written and note.read_text(encoding="ascii", errors="replace") == checksum(path)


def outputs(
    network: Classifier,
    images: ImageSet,
    info: DataSetInfo,
    augmentation: Augmentation,
    views: Tensor,
    dtype: torch.dtype = torch.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's logits (N, C) and embeddings (N, D) for one view of each image.

    Only these two arrays grow with N; pixels are augmented batch by batch.

    Args:
        network: in evaluation mode, on the device of the images.
        images: the N images.
        info: of the images as the network sees them.
        augmentation: the settings that the views are of.
        views: (N,) int64, the number of the view of each image.
        dtype: type of the result.

    Raises:
        Diverged: an output is not finite.
    """

    def augmented(rows: Tensor, pixels: Tensor) -> Tensor:
        crops = crop_parameters(views[rows], augmentation, (pixels.shape[1], pixels.shape[2]))
        return apply_views(pixels, crops, augmentation)

    side = augmentation.output_side(images.images.shape[1])
    batches = in_batches(len(views), batch_size(images, side))
    logits = torch.empty(len(views), len(info.classes), dtype=dtype)
    embedding = torch.empty(len(views), network.embedding_dim, dtype=dtype)
    for rows, out in zip(batches, infer(network, images, info, batches, augmented), strict=True):
        some = slice(int(rows[0]), int(rows[-1]) + 1)
        logits[some], embedding[some] = out.logits.to(dtype), out.embedding.to(dtype)
    if not logits.isfinite().all() or not embedding.isfinite().all():
        raise _not_finite(network, images, info, batches, augmented, dtype)
    return logits.numpy(), embedding.numpy()


def _not_finite(
    network: Classifier,
    images: ImageSet,
    info: DataSetInfo,
    batches: Sequence[Tensor],
    augmented: Prepare,
    dtype: torch.dtype,
) -> Diverged:
    """Return the error for outputs that are not finite, perhaps only as they are stored."""
    for out in infer(network, images, info, batches, augmented):
        if not out.logits.isfinite().all() or not out.embedding.isfinite().all():
            return not_finite(network, normalised(images, info, batches, augmented), "the teacher")
    largest = torch.finfo(dtype).max
    return Diverged(
        f"the teacher: its outputs exceed {largest:g}, the largest number in half precision; "
        "set embeddings.precision to single"
    )
