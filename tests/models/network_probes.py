"""Small networks and images for the tests of architectures."""

from __future__ import annotations

import torch
from torch import Tensor

from distillery.models.base import Classifier, Outputs
from distillery.models.registry import build

CLASSES = 7
# Names of networks in RepDistiller at b84f547c.
REPDISTILLER = [
    "resnet8",
    "resnet14",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "resnet8x4",
    "resnet32x4",
    "ResNet50",
    "wrn_16_1",
    "wrn_16_2",
    "wrn_40_1",
    "wrn_40_2",
    "vgg8",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "MobileNetV2",
    "ShuffleV1",
    "ShuffleV2",
]


def seeded(arch: str, seed: int) -> Classifier:
    torch.manual_seed(seed)
    return build(arch, num_classes=CLASSES)


def new(arch: str, channels: int = 3) -> Classifier:
    return build(arch, num_classes=CLASSES, in_channels=channels).eval()


def pictures(batch: int, channels: int, size: int) -> Tensor:
    return torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(3))


def shapes(maps: tuple[Tensor, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(each.shape[1:]) for each in maps)


def flat(outputs: Outputs) -> list[Tensor]:
    logits, embedding, *maps = outputs[:5]
    return [logits, embedding, *(each for group in maps for each in group)]
