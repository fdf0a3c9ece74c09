"""The stage ``embed``: run the teacher once over every slot and store what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from distillery.core.devices import device_for_inference
from distillery.core.progress import Progress
from distillery.core.settings import FrozenModel
from distillery.data.augmentation import apply_views, crop_parameters, normalise
from distillery.data.prepared import DataSetInfo, ImageSet, load_training
from distillery.data.settings import Augmentation
from distillery.embeddings.settings import ViewOrder
from distillery.embeddings.slots import slot_name, write_slot
from distillery.embeddings.views import ViewSchedule
from distillery.models.base import Classifier
from distillery.models.weights import channels_of, load_network

if TYPE_CHECKING:
    from distillery.runs.artifacts import Workspace

_BATCH = 512
_PRECISIONS = {"half": torch.float16, "single": torch.float32}


class Settings(FrozenModel):
    """Settings of the stage."""

    views: ViewOrder
    """Which view of each image a slot holds."""
    augmentation: Augmentation
    """How training images are varied, with nothing left open."""
    precision: Literal["half", "single"]
    """Storage of logits and embeddings."""


def run(work: Workspace) -> None:
    """Write the slots that are not there yet; an interrupted cache goes on with the next one."""
    settings = work.run.settings
    prepared, teacher = work.inputs["prepared"], work.inputs["teacher"]
    augmentation = Augmentation(**settings["augmentation"])
    schedule = ViewSchedule(augmentation.views, **settings["views"])
    device = device_for_inference(work.record)
    seen = channels_of(teacher)
    images = load_training(prepared, work.inputs["split"]).of_channels(seen).to(device)
    info = DataSetInfo.load(prepared)
    network = load_network(teacher, info).to(device).to(memory_format=torch.channels_last)
    metadata = {"teacher": teacher.key, "prepared": prepared.key, "split": work.inputs["split"].key}
    index = images.index.cpu().numpy()
    shape = info.shape[:2]
    with Progress("slots", schedule.slots) as progress:
        for slot in range(schedule.slots):
            path = work.out / slot_name(slot)
            if not path.exists():
                views = torch.from_numpy(schedule.view(slot, index))
                logits, embedding = outputs(
                    network,
                    images,
                    info.of_channels(seen),
                    augmentation,
                    views,
                    _PRECISIONS[settings["precision"]],
                )
                place = crop_parameters(views, augmentation, shape)
                write_slot(path, index, views, place, logits, embedding, metadata)
            progress.advance()
    work.write_json(
        "cache.json",
        {
            "arch": teacher.settings["arch"],
            "images": len(index),
            "image_shape": shape,
            "classes": len(info.classes),
            "embedding_dim": network.embedding_dim,
            "slots": schedule.slots,
        },
    )


@torch.inference_mode()
def outputs(
    network: Classifier,
    images: ImageSet,
    info: DataSetInfo,
    augmentation: Augmentation,
    views: torch.Tensor,
    dtype: torch.dtype = torch.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's logits (N, C) and embeddings (N, D) for one view (N,) of each image.

    Only these two arrays grow with N; pixels are augmented batch by batch.
    """
    logits, embeddings = [], []
    batches = torch.arange(len(views)).split(_BATCH)
    for rows, pixels in zip(batches, images.batches(batches), strict=True):
        place = crop_parameters(views[rows], augmentation, (pixels.shape[1], pixels.shape[2]))
        pixels = apply_views(pixels, place, augmentation)
        out = network(normalise(pixels, info.mean, info.std))
        logits.append(out.logits.to("cpu", dtype))
        embeddings.append(out.embedding.to("cpu", dtype))
    return torch.cat(logits).numpy(), torch.cat(embeddings).numpy()
