"""ShuffleNet with three groups for CIFAR (Zhang et al., 2018, arXiv:1707.01083).

The stem is a 1x1 convolution of stride 1, without max-pooling. Maps at 32x32 input: stem 32x32,
stages 16x16, 8x8, 4x4, each after the ReLU of its last unit. At 8x8 the last stage's map is 1x1.

Initialisation: as PyTorch draws its layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.layers import conv, run_residual_stages

ARCHITECTURES = {"ShuffleV1": ((240, 480, 960), (4, 8, 4), 3)}
"""Name -> (widths of the stages, number of units of each, groups)."""

_STEM = 24


def build(arch: str, *, num_classes: int, in_channels: int) -> ShuffleNetV1:
    """Return a new network of this family."""
    widths, units, groups = ARCHITECTURES[arch]
    return ShuffleNetV1(widths, units, groups, num_classes=num_classes, in_channels=in_channels)


class ShuffleNetV1(Classifier):
    """Stem and three stages, each of which halves the map."""

    head_path = "linear"

    def __init__(
        self,
        widths: tuple[int, int, int],
        units: tuple[int, int, int],
        groups: int,
        *,
        num_classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, _STEM, 1)
        self.bn1 = nn.BatchNorm2d(_STEM)
        # the convolution that reads the few channels of the stem is not grouped (section 3.2)
        self.layer1 = _stage(_STEM, widths[0], units[0], groups, first_groups=1)
        self.layer2 = _stage(widths[0], widths[1], units[1], groups, first_groups=groups)
        self.layer3 = _stage(widths[1], widths[2], units[2], groups, first_groups=groups)
        self.linear = nn.Linear(widths[2], num_classes)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, C, H, W) to the last map (B, D, h, w), recording stem and three stages."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        return run_residual_stages(x, (self.layer1, self.layer2, self.layer3), recorder)


class Unit(nn.Module):
    """Grouped 1x1, channel shuffle, depthwise 3x3 and grouped 1x1; returns the map before its ReLU.

    With stride 1 the input is added. With stride 2 the input, average-pooled, is appended behind
    the ``out_channels`` new ones.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int
    ) -> None:
        super().__init__()
        hidden = out_channels // 4
        self.stride = stride
        self.first_groups = first_groups
        self.conv1 = conv(in_channels, hidden, 1, groups=first_groups)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = conv(hidden, hidden, 3, stride=stride, groups=hidden)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = conv(hidden, out_channels, 1, groups=groups)
        self.bn3 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H, W), or with stride 2 to (B, out + in, H / 2, W / 2)."""
        new: Tensor = F.relu(self.bn1(self.conv1(x)), inplace=True)
        new = F.channel_shuffle(new, self.first_groups)
        new = F.relu(self.bn2(self.conv2(new)), inplace=True)
        new = self.bn3(self.conv3(new))
        if self.stride == 1:
            return new + x
        return torch.cat([new, F.avg_pool2d(x, 3, stride=2, padding=1)], dim=1)


def _stage(
    in_channels: int, out_channels: int, units: int, groups: int, *, first_groups: int
) -> nn.Sequential:
    first = Unit(in_channels, out_channels - in_channels, 2, groups, first_groups)
    rest = [Unit(out_channels, out_channels, 1, groups, groups) for _ in range(units - 1)]
    return nn.Sequential(first, *rest)
