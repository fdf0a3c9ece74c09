"""Small networks and images for the tests of architectures."""

from __future__ import annotations

import torch
from torch import Tensor

from distillery.models.base import Classifier, Outputs
from distillery.models.registry import build

CLASSES = 7


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
