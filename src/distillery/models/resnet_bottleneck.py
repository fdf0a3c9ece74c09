"""ResNet50 with a CIFAR stem (He et al., 2016, arXiv:1512.03385, table 1).

ImageNet's four stages of bottleneck blocks behind a 3x3 stem of stride 1 without max-pooling. Maps
at 32x32 input: stem 32x32, stages 32x32, 16x16, 8x8, 4x4, each taken after the ReLU of its last
block.

Initialisation: convolutions He normal by fan-out; head as PyTorch draws linear layers.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.layers import conv, init_convs, projection, run_residual_stages

ARCHITECTURES = {"ResNet50": (3, 4, 6, 3)}
"""Name -> number of blocks of the four stages."""

_STEM = 64
_EXPANSION = 4


def build(arch: str, *, num_classes: int, in_channels: int) -> BottleneckResNet:
    """Return a new network of this family."""
    return BottleneckResNet(ARCHITECTURES[arch], num_classes=num_classes, in_channels=in_channels)


class BottleneckResNet(Classifier):
    """Stem and four stages of bottleneck blocks, 256 to 2048 channels wide."""

    head_path = "linear"

    def __init__(
        self, blocks: tuple[int, int, int, int], *, num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, _STEM, 3)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.layer1 = _stage(_STEM, 64, blocks[0], stride=1)
        self.layer2 = _stage(256, 128, blocks[1], stride=2)
        self.layer3 = _stage(512, 256, blocks[2], stride=2)
        self.layer4 = _stage(1024, 512, blocks[3], stride=2)
        self.linear = nn.Linear(2048, num_classes)
        init_convs(self)

    @property
    def _stages(self) -> tuple[nn.Sequential, ...]:
        return self.layer1, self.layer2, self.layer3, self.layer4

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, C, H, W) to the last map (B, D, h, w), recording stem and four stages."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        return run_residual_stages(x, self._stages, recorder)

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        """Return the last BatchNorm of each stage's residual branch."""
        return [_last(stage).bn3 for stage in self._stages]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; returns the sum before its ReLU.

    The stride is that of the 3x3 convolution.
    """

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = width * _EXPANSION
        self.conv1 = conv(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        reshapes = stride != 1 or in_channels != out_channels
        self.shortcut = projection(in_channels, out_channels, stride) if reshapes else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, 4 * width, H / stride, W / stride)."""
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = F.relu(self.bn2(self.conv2(residual)), inplace=True)
        residual = self.bn3(self.conv3(residual))
        total: Tensor = residual + (x if self.shortcut is None else self.shortcut(x))
        return total


def _stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(in_channels, width, stride)
    rest = [Bottleneck(width * _EXPANSION, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _last(stage: nn.Sequential) -> Bottleneck:
    block = stage[-1]
    assert isinstance(block, Bottleneck)
    return block
