"""MobileNetV2 of half width (Sandler et al., 2018, arXiv:1801.04381), as RepDistiller trains it.

Expansion 6, width 0.5, head 1280; stem of stride 2. Maps at 32x32 input: stem 16x16, then the
linear outputs of stages 1, 2, 4 and 6 at 16x16, 8x8, 4x4, 2x2. No activation follows them, so that
features and preactivations are the same maps. At 8x8 the maps shrink to 1x1 and stay there.

Initialisation: convolutions He normal by fan-out; head normal with std 0.01, zero bias.
"""

from __future__ import annotations

from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.layers import conv, conv_bn_relu, init_convs, init_small_head

ARCHITECTURES = {"MobileNetV2": 0.5}
"""Name -> factor of all widths but that of the head."""

_STEM = 32
_EMBEDDING = 1280
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, width, number of blocks, and stride of each stage."""
_RECORDED = (1, 2, 4, 6)


def build(arch: str, *, num_classes: int, in_channels: int) -> MobileNetV2:
    """Return a new network of this family."""
    return MobileNetV2(ARCHITECTURES[arch], num_classes=num_classes, in_channels=in_channels)


class MobileNetV2(Classifier):
    """Stem, seven stages of inverted residuals, and a 1x1 convolution before the pooling."""

    head_path = "classifier.0"

    def __init__(self, width: float, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        channels = int(_STEM * width)
        self.conv1 = nn.Sequential(*conv_bn_relu(in_channels, channels, 3, stride=2))
        self.blocks = nn.ModuleList()
        for expansion, full_width, blocks, stride in _STAGES:
            out_channels = int(full_width * width)
            self.blocks.append(_stage(channels, out_channels, blocks, stride, expansion))
            channels = out_channels
        self.conv2 = nn.Sequential(*conv_bn_relu(channels, _EMBEDDING, 1))
        self.classifier = nn.Sequential(nn.Linear(_EMBEDDING, num_classes))
        init_convs(self)
        init_small_head(self.head)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map (B, C, H, W) to the map (B, 1280, h, w) to pool, recording stem and four stages."""
        x = self.conv1(images)
        recorder.record(x)
        for number, stage in enumerate(self.blocks):
            assert isinstance(stage, nn.Sequential)
            for block in stage:
                x = block(x)
                recorder.record_block(x)
            if number in _RECORDED:
                recorder.record(x)
        embedded: Tensor = self.conv2(x)
        return embedded

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        """Return the BatchNorm that ends each recorded stage."""
        return [_last_norm(self.blocks[number]) for number in _RECORDED]


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3, linear 1x1; the input is added where the shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.adds_input = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential(
            *conv_bn_relu(in_channels, hidden, 1),
            *conv_bn_relu(hidden, hidden, 3, stride=stride, groups=hidden),
            conv(hidden, out_channels, 1),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H / stride, W / stride), not rectified."""
        residual: Tensor = self.conv(x)
        return x + residual if self.adds_input else residual


def _stage(
    in_channels: int, out_channels: int, blocks: int, stride: int, expansion: int
) -> nn.Sequential:
    first = InvertedResidual(in_channels, out_channels, stride, expansion)
    rest = [InvertedResidual(out_channels, out_channels, 1, expansion) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _last_norm(stage: nn.Module) -> nn.BatchNorm2d:
    assert isinstance(stage, nn.Sequential)
    block = stage[-1]
    assert isinstance(block, InvertedResidual)
    norm = block.conv[-1]
    assert isinstance(norm, nn.BatchNorm2d)
    return norm
