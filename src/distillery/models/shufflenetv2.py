"""ShuffleNetV2 of width 1 for CIFAR (Ma et al., 2018, arXiv:1807.11164).

The stem is a 1x1 convolution of stride 1, without max-pooling. Maps at 32x32 input: stem 32x32,
stages 16x16, 8x8, 4x4, each after the channel shuffle of its last unit. A stage's preactivation is
the last unit's map before the ReLU of its new half AND before the shuffle: its channels are in
another order than the feature's, and its first half is rectified already. At 8x8 the last stage's
map is 1x1.

Initialisation: as PyTorch draws its layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.layers import conv

ARCHITECTURES = {"ShuffleV2": ((116, 232, 464), (3, 7, 3), 1024)}
"""Name -> (widths of the stages, units of each behind the first, length of the embedding)."""

_STEM = 24
_BRANCHES = 2


def build(arch: str, *, num_classes: int, in_channels: int) -> ShuffleNetV2:
    """Return a new network of this family."""
    widths, units, embedding = ARCHITECTURES[arch]
    return ShuffleNetV2(widths, units, embedding, num_classes=num_classes, in_channels=in_channels)


class ShuffleNetV2(Classifier):
    """Stem, three stages that halve the map, and a 1x1 convolution before the pooling."""

    head_path = "linear"

    def __init__(
        self,
        widths: tuple[int, int, int],
        units: tuple[int, int, int],
        embedding: int,
        *,
        num_classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, _STEM, 1)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.layer1 = Stage(_STEM, widths[0], units[0])
        self.layer2 = Stage(widths[0], widths[1], units[1])
        self.layer3 = Stage(widths[1], widths[2], units[2])
        self.conv2 = conv(widths[2], embedding, 1)
        self.bn2 = nn.BatchNorm2d(embedding)
        self.linear = nn.Linear(embedding, num_classes)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, C, H, W) to the last map (B, D, h, w), recording stem and three stages."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        recorder.record(x)
        for stage in (self.layer1, self.layer2, self.layer3):
            x, unrectified = stage(x, recorder.record_block)
            recorder.record(
                x, torch.cat(unrectified, dim=1) if recorder.wants_preactivations else None
            )
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


class Stage(nn.ModuleList):
    """A unit that halves the map and others that keep its shape."""

    def __init__(self, in_channels: int, out_channels: int, units: int) -> None:
        rest = [Unit(out_channels) for _ in range(units)]
        super().__init__([DownUnit(in_channels, out_channels), *rest])

    def forward(
        self, x: Tensor, record: Callable[[Tensor], None]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Map (B, in, H, W) to (B, out, H / 2, W / 2), handing each unit's output to ``record``.

        Returns:
            The stage's map, and the two halves (B, out / 2, H / 2, W / 2) of its last unit before
            ReLU and shuffle.
        """
        down, *units = self
        x = down(x)
        record(x)
        for unit in units:
            kept, new = unit(x)
            x = _join(kept, F.relu(new))
            record(x)
        return x, (kept, new)


class Unit(nn.Module):
    """Keeps one half of the channels and transforms the other: 1x1, depthwise 3x3, 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // _BRANCHES
        self.conv1 = conv(half, half, 1)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = conv(half, half, 3, groups=half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv(half, half, 1)
        self.bn3 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, H, W) to the kept half and the new one before its ReLU, (B, C / 2, H, W)."""
        kept, new = x.chunk(_BRANCHES, dim=1)
        new = F.relu(self.bn1(self.conv1(new)), inplace=True)
        new = self.bn2(self.conv2(new))
        return kept, self.bn3(self.conv3(new))


class DownUnit(nn.Module):
    """Two branches that both read the whole input and halve the map."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // _BRANCHES
        self.conv1 = conv(in_channels, in_channels, 3, stride=2, groups=in_channels)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv2 = conv(in_channels, half, 1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv(in_channels, half, 1)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv4 = conv(half, half, 3, stride=2, groups=half)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = conv(half, half, 1)
        self.bn5 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H / 2, W / 2)."""
        left = self.bn1(self.conv1(x))
        left = F.relu(self.bn2(self.conv2(left)), inplace=True)
        right = F.relu(self.bn3(self.conv3(x)), inplace=True)
        right = self.bn4(self.conv4(right))
        right = F.relu(self.bn5(self.conv5(right)), inplace=True)
        return _join(left, right)


def _join(left: Tensor, right: Tensor) -> Tensor:
    """Concatenate two branches and interleave their channels."""
    return F.channel_shuffle(torch.cat([left, right], dim=1), _BRANCHES)
