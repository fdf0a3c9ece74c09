"""VGG with BatchNorm and one linear layer (Simonyan and Zisserman, 2015, arXiv:1409.1556).

Five blocks of 3x3 convolutions with bias. Maps at 32x32 input: 32x32, 16x16, 8x8, 4x4, 4x4, each
after the block's last ReLU. Blocks 0 to 2 are followed by a 2x2 max-pooling, block 3 only if the
image is at least 64 high (RepDistiller: exactly 64), so that block 4 reads 4x4 at both 32x32 and
64x64. A map that is one pixel high or wide is no longer pooled: images down to 1x1 pass; at 8x8 no
pooling is left out.

Initialisation: convolutions He normal by fan-out with zero bias; head normal with std 0.01, zero
bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.layers import conv, init_convs, init_small_head

ARCHITECTURES = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""Name -> number of convolutions of the five blocks."""

_WIDTHS = (64, 128, 256, 512, 512)
_LARGE_IMAGE = 64


def build(arch: str, *, num_classes: int, in_channels: int) -> VGG:
    """Return a new network of this family."""
    return VGG(ARCHITECTURES[arch], num_classes=num_classes, in_channels=in_channels)


class VGG(Classifier):
    """Five blocks of convolutions with max-pooling between them."""

    head_path = "classifier"

    def __init__(self, depths: Sequence[int], *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.block0 = _block(in_channels, _WIDTHS[0], depths[0])
        self.block1 = _block(_WIDTHS[0], _WIDTHS[1], depths[1])
        self.block2 = _block(_WIDTHS[1], _WIDTHS[2], depths[2])
        self.block3 = _block(_WIDTHS[2], _WIDTHS[3], depths[3])
        self.block4 = _block(_WIDTHS[3], _WIDTHS[4], depths[4])
        self.classifier = nn.Linear(_WIDTHS[4], num_classes)
        init_convs(self)
        init_small_head(self.classifier)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, C, H, W) to the last map (B, D, h, w), recording the five blocks."""
        x = F.relu(_run(self.block0, images, recorder), inplace=True)
        recorder.record(x)
        recorder.record_block(x)
        pooled = (True, True, True, images.shape[2] >= _LARGE_IMAGE)
        blocks = (self.block1, self.block2, self.block3, self.block4)
        for pool, block in zip(pooled, blocks, strict=True):
            preactivation = _run(block, _halve(x) if pool else x, recorder)
            x = F.relu(preactivation)
            recorder.record(x, preactivation)
            recorder.record_block(x)
        return x

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        """Return the last BatchNorm of each block but the first."""
        return [_last(block) for block in (self.block1, self.block2, self.block3, self.block4)]


def _block(in_channels: int, width: int, depth: int) -> nn.Sequential:
    """Return ``depth`` times convolution, BatchNorm and ReLU, without the last ReLU."""
    layers: list[nn.Module] = []
    for position in range(depth):
        layers += [
            conv(in_channels if position == 0 else width, width, 3, bias=True),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers[:-1])


def _run(block: nn.Sequential, x: Tensor, recorder: FeatureRecorder) -> Tensor:
    """Return a block's map before its last ReLU, recording the outputs of the other ReLUs."""
    for layer in block:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            recorder.record_block(x)
    return x


def _last(block: nn.Sequential) -> nn.BatchNorm2d:
    norm = block[-1]
    assert isinstance(norm, nn.BatchNorm2d)
    return norm


def _halve(x: Tensor) -> Tensor:
    """Max-pool (B, C, H, W) to half its size, unless it is one pixel high or wide."""
    return F.max_pool2d(x, 2) if min(x.shape[2:]) > 1 else x
