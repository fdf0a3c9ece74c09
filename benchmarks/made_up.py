"""A made-up experiment of CIFAR-100's size, on which steps are timed.

Images are noise, labels take turns; what a step costs does not depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distillery.data.info import DataSetInfo
from distillery.data.prepared import ImageSet
from distillery.embeddings.reader import Slot
from distillery.embeddings.views import ViewSchedule
from distillery.methods.base import Context
from distillery.models import registry
from distillery.models.base import Classifier, ModelSpec
from distillery.models.spec import describe

BATCH, CLASSES, IMAGES, NEGATIVES, SIDE = 64, 100, 50_000, 16_384, 32
PAIRS = {
    "resnet56→resnet20": ("resnet56", "resnet20"),
    "resnet32x4→resnet8x4": ("resnet32x4", "resnet8x4"),
}
PRECISIONS = {"f32": "no", "bf16": "bf16"}
MEAN, STD = (0.51, 0.49, 0.44), (0.27, 0.26, 0.28)


def info(classes: int = CLASSES) -> DataSetInfo:
    """Return the description of the data set."""
    return DataSetInfo(
        name="made-up",
        classes=tuple(map(str, range(classes))),
        shape=(SIDE, SIDE, 3),
        mean=MEAN,
        std=STD,
        counts={"train": IMAGES, "test": IMAGES // 5},
        per_class={"train": (), "test": ()},
        shared=0,
        origin={},
    )


def labels(images: int = IMAGES, classes: int = CLASSES) -> Tensor:
    """Return labels (images,) int64."""
    return torch.arange(images) % classes


def image_set(images: int, classes: int = CLASSES) -> ImageSet:
    """Return images of noise."""
    pixels = torch.randint(0, 256, (images, SIDE, SIDE, 3), dtype=torch.uint8)
    return ImageSet(pixels, labels(images, classes), torch.arange(images))


def normalised(batch: int = BATCH) -> Tensor:
    """Return images (batch, 3, H, W) as networks get them, in the memory format of training."""
    return torch.randn(batch, 3, SIDE, SIDE).to(memory_format=torch.channels_last)


def network(arch: str, classes: int = CLASSES) -> Classifier:
    """Return a network in training mode, in the memory format of training."""
    built = registry.build(arch, num_classes=classes)
    return built.to(memory_format=torch.channels_last).train()


def described(arch: str, classes: int = CLASSES) -> ModelSpec:
    """Return what is known of an architecture for these images."""
    return describe(arch, classes, 3, SIDE)


def context(teacher: str, student: str) -> Context:
    """Return what a method of the pair is built from."""
    specs = [described(arch) for arch in (student, teacher)]
    return Context(specs[0], specs[1], labels(), seed=0, epochs=240)


@dataclass(frozen=True)
class CachedOutputs:
    """Stands for a teacher cache that is in memory: what it costs to read is measured elsewhere."""

    arch: str
    schedule: ViewSchedule
    views: Tensor
    classes: int
    waited: float = 0.0

    def slot(self, number: int, device: torch.device, following: int | None) -> Slot:
        """Return outputs of all images, stored in half precision as by default."""
        dim = described(self.arch, self.classes).embedding_dim
        wide = torch.rand(len(self.views), self.classes + dim, dtype=torch.float16)
        return Slot(self.views, wide[:, : self.classes].clone(), wide[:, self.classes :].clone())
