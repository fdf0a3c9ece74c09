"""Wide ResNets for CIFAR (Zagoruyko and Komodakis, 2016, arXiv:1605.07146), without dropout.

Maps at 32x32 input: stem 32x32, groups 32x32, 16x16, 8x8. Blocks are of the pre-activation kind,
so that the maps are raw sums, neither normalised nor rectified. As preactivation of a group
stands, as in RepDistiller, the output of the BatchNorm that reads its map next: that of the
following group's first block, or the final one. It is computed by a second call of that BatchNorm,
which in training mode updates the running statistics a second time. The output of a block is its
sum as the next block first sees it, behind BatchNorm and ReLU, as in the code of AFD (Ji et al.,
2021); it costs no further call.

Initialisation: convolutions He normal by fan-out; the head's bias is zero.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.layers import conv, init_convs

ARCHITECTURES = {
    "wrn_16_1": (16, 1),
    "wrn_16_2": (16, 2),
    "wrn_40_1": (40, 1),
    "wrn_40_2": (40, 2),
}
"""Name -> (depth, widening factor)."""


def build(arch: str, *, num_classes: int, in_channels: int) -> WideResNet:
    """Return a new network of this family."""
    depth, widen = ARCHITECTURES[arch]
    return WideResNet(depth, widen, num_classes=num_classes, in_channels=in_channels)


class WideResNet(Classifier):
    """Stem, three groups of (depth - 4) / 6 blocks, and a final BatchNorm and ReLU."""

    head_path = "fc"

    def __init__(self, depth: int, widen: int, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        self.conv1 = conv(in_channels, 16, 3)
        self.block1 = Group(16, 16 * widen, blocks, stride=1)
        self.block2 = Group(16 * widen, 32 * widen, blocks, stride=2)
        self.block3 = Group(32 * widen, 64 * widen, blocks, stride=2)
        self.bn1 = nn.BatchNorm2d(64 * widen)
        self.fc = nn.Linear(64 * widen, num_classes)
        init_convs(self)
        nn.init.zeros_(self.fc.bias)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, C, H, W) to the last map (B, D, h, w), recording raw stem and groups."""
        x = self.conv1(images)
        recorder.record(x)
        record = _forget  # the first block sees the stem's output, not a block's
        groups = (self.block1, self.block2, self.block3)
        for group, next_norm in zip(groups, self.preactivation_norms(), strict=True):
            for block in group.layer:
                x = block(x, record)
                record = recorder.record_block
            recorder.record(x, next_norm(x) if recorder.wants_preactivations else None)
        x = F.relu(self.bn1(x), inplace=True)
        recorder.record_block(x)
        return x

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        """Return the BatchNorm that reads each group's map."""
        return [self.block2.first.bn1, self.block3.first.bn1, self.bn1]


class Group(nn.Module):
    """Blocks of one width, of which the first may change the shape."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int, stride: int) -> None:
        super().__init__()
        first = WideBlock(in_channels, out_channels, stride)
        rest = [WideBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)]
        self.layer = nn.Sequential(first, *rest)

    @property
    def first(self) -> WideBlock:
        """The first block."""
        block = self.layer[0]
        assert isinstance(block, WideBlock)
        return block


class WideBlock(nn.Module):
    """BatchNorm, ReLU and 3x3 convolution, twice, beside a shortcut.

    A block that changes the number of channels reads its shortcut, a 1x1 convolution, behind the
    first ReLU; any other adds its input as it is.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, out_channels, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels, 3)
        widens = in_channels != out_channels
        self.convShortcut = conv(in_channels, out_channels, 1, stride=stride) if widens else None

    def forward(self, x: Tensor, record: Callable[[Tensor], None]) -> Tensor:
        """Map (B, in, H, W) to (B, out, H / stride, W / stride); ``record`` gets its first ReLU."""
        active = F.relu(self.bn1(x), inplace=True)
        record(active)
        shortcut = x if self.convShortcut is None else self.convShortcut(active)
        residual = F.relu(self.bn2(self.conv1(active)), inplace=True)
        total: Tensor = shortcut + self.conv2(residual)
        return total


def _forget(output: Tensor) -> None:
    """Record nothing."""
