"""CIFAR ResNets with basic blocks (He et al., 2016, arXiv:1512.03385, section 4.2).

Maps at 32x32 input: stem 32x32, stages 32x32, 16x16, 8x8; each stage's map is taken after the ReLU
of its last block. The shortcut is a projection wherever a block changes shape, and the block is the
basic one at every depth. The ``x4`` widths are those of CRD (Tian et al., 2020).

Initialisation: convolutions He normal by fan-out; head as PyTorch draws linear layers.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.layers import conv, init_convs, projection, run_residual_stages

_WIDTHS = (16, 16, 32, 64)
_WIDTHS_X4 = (32, 64, 128, 256)

ARCHITECTURES = {
    "resnet8": (8, _WIDTHS),
    "resnet14": (14, _WIDTHS),
    "resnet20": (20, _WIDTHS),
    "resnet32": (32, _WIDTHS),
    "resnet44": (44, _WIDTHS),
    "resnet56": (56, _WIDTHS),
    "resnet110": (110, _WIDTHS),
    "resnet8x4": (8, _WIDTHS_X4),
    "resnet32x4": (32, _WIDTHS_X4),
}
"""Name -> (depth, widths of the stem and the three stages)."""


def build(arch: str, *, num_classes: int, in_channels: int) -> ResNet:
    """Return a new network of this family."""
    depth, widths = ARCHITECTURES[arch]
    return ResNet(depth, widths, num_classes=num_classes, in_channels=in_channels)


class ResNet(Classifier):
    """Stem and three stages of (depth - 2) / 6 basic blocks."""

    head_path = "fc"

    def __init__(
        self, depth: int, widths: tuple[int, int, int, int], *, num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = conv(in_channels, widths[0], 3)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = _stage(widths[0], widths[1], blocks, stride=1)
        self.layer2 = _stage(widths[1], widths[2], blocks, stride=2)
        self.layer3 = _stage(widths[2], widths[3], blocks, stride=2)
        self.fc = nn.Linear(widths[3], num_classes)
        init_convs(self)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, C, H, W) to the last map (B, D, h, w), recording stem and three stages."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        return run_residual_stages(x, (self.layer1, self.layer2, self.layer3), recorder)

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        """Return the last BatchNorm of each stage's residual branch."""
        return [_last(stage).bn2 for stage in (self.layer1, self.layer2, self.layer3)]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; returns the sum before its ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels, 3)
        self.bn2 = nn.BatchNorm2d(out_channels)
        reshapes = stride != 1 or in_channels != out_channels
        self.downsample = projection(in_channels, out_channels, stride) if reshapes else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H / stride, W / stride)."""
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = self.bn2(self.conv2(residual))
        total: Tensor = residual + (x if self.downsample is None else self.downsample(x))
        return total


def _stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride)
    rest = [BasicBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _last(stage: nn.Sequential) -> BasicBlock:
    block = stage[-1]
    assert isinstance(block, BasicBlock)
    return block
