"""Running a finished network over a set of images."""

from __future__ import annotations

import torch
from torch import Tensor

from distillery.data.augmentation import normalise
from distillery.data.prepared import DataSetInfo, ImageSet
from distillery.models.base import Classifier, Outputs
from distillery.models.predictions import Predictions

_BATCH = 1000


@torch.inference_mode()
def run_over(network: Classifier, images: ImageSet, info: DataSetInfo) -> Outputs:
    """Return logits (N, C) and embeddings (N, D) of unaugmented images, on the CPU."""
    logits: list[Tensor] = []
    embeddings: list[Tensor] = []
    for start in range(0, len(images.labels), _BATCH):
        pixels = normalise(images.images[start : start + _BATCH], info.mean, info.std)
        out = network(pixels)
        logits.append(out.logits.cpu())
        embeddings.append(out.embedding.cpu())
    return Outputs(torch.cat(logits), torch.cat(embeddings))


def predict(network: Classifier, images: ImageSet, info: DataSetInfo) -> Predictions:
    """Return what a network says of a set of images."""
    outputs = run_over(network, images, info)
    return Predictions(
        images.labels.cpu().numpy(),
        outputs.logits.float().numpy(),
        outputs.embedding.float().numpy(),
    )
