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
# A user's file with networks, some of which cannot be taken.
OWN = """
import torch
from torch import nn
from distillery.models.base import Classifier
from distillery.models.layers import conv


class Net(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 4, 3, padding=1), nn.ReLU())
        self.stage = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU())
        self.out = nn.Linear(6, num_classes)

    def forward(self, images):
        return self.out(torch.flatten(self.stage(self.stem(images)).mean((2, 3)), 1)).log_softmax(1)


class Whole(Classifier):
    head_path = "fc"

    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.conv = conv(in_channels, 5, 3)
        self.fc = nn.Linear(5, num_classes)

    def trunk(self, images, recorder):
        return self.conv(images).relu()


class Untraceable(Net):
    def forward(self, images):
        if images.sum() > 0:
            return super().forward(images)
        return super().forward(-images)


class Convolutional(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_classes, 3)

    def forward(self, images):
        return self.conv(images).mean((2, 3))


class Unused(Whole):
    supplies = frozenset({"logits", "embedding", "classifier"})

    def __init__(self, num_classes, in_channels):
        super().__init__(num_classes, in_channels)
        self.idle = nn.Parameter(torch.zeros(1))


class Options(nn.Module):
    def __init__(self, width):
        super().__init__()


class Failing(nn.Module):
    def __init__(self, num_classes, in_channels):
        raise RuntimeError("no luck")


def helper():
    pass
"""


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
