"""MobileNetV1 of full width for ImageNet (Howard et al., 2017, arXiv:1704.04861, table 1).

A stem of stride 2 and thirteen depthwise-separable blocks: a 3x3 convolution of each channel by
itself, then a 1x1 convolution, each with BatchNorm and ReLU. Maps at 224x224 input: stem 112x112,
then the outputs of the last block of each size, 56x56, 28x28, 14x14, 7x7.

Initialisation: convolutions He normal by fan-out; head as PyTorch draws linear layers. The paper
does not say how it draws them.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.layers import conv_bn_relu, init_convs

ARCHITECTURES = {"mobilenetv1": 32}
"""Name -> channels of the stem."""

_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
"""Channels and stride of each block."""
_RECORDED = (0, 3, 5, 11, 13)
"""Stem, and last block of each size of map; the stem has number 0."""


def build(arch: str, *, num_classes: int, in_channels: int) -> MobileNetV1:
    """Return a new network of this family."""
    return MobileNetV1(ARCHITECTURES[arch], num_classes=num_classes, in_channels=in_channels)


class MobileNetV1(Classifier):
    """Stem and thirteen depthwise-separable blocks, 64 to 1024 channels wide."""

    head_path = "fc"

    def __init__(self, stem: int, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Sequential(*conv_bn_relu(in_channels, stem, 3, stride=2)))
        channels = stem
        for out_channels, stride in _BLOCKS:
            self.model.append(_separable(channels, out_channels, stride))
            channels = out_channels
        self.fc = nn.Linear(channels, num_classes)
        init_convs(self)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, C, H, W) to the last map (B, D, h, w), recording stem and four blocks."""
        x = images
        for number, block in enumerate(self.model):
            assert isinstance(block, nn.Sequential)
            preactivation = block[:-1](x)
            x = F.relu(preactivation)
            if number:
                recorder.record_block(x)
            if number in _RECORDED:
                # The stem is the same in features and preactivations.
                recorder.record(x, preactivation if number else None)
        return x

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        """Return the BatchNorm that ends each recorded block."""
        return [_last_norm(self.model[number]) for number in _RECORDED[1:]]


def _separable(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *conv_bn_relu(in_channels, in_channels, 3, stride=stride, groups=in_channels),
        *conv_bn_relu(in_channels, out_channels, 1),
    )


def _last_norm(block: nn.Module) -> nn.BatchNorm2d:
    assert isinstance(block, nn.Sequential)
    norm = block[-2]
    assert isinstance(norm, nn.BatchNorm2d)
    return norm
