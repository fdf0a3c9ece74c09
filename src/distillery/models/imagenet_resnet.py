"""ResNets for ImageNet (He et al., 2016, arXiv:1512.03385) out of torchvision's blocks.

The layers, their initialisation and the names in the state dict are torchvision's, so that its
published weights load. Stride 2 of a bottleneck is that of its 3x3 convolution. Maps at 224x224
input: stem 56x56, taken after the max-pooling, then 56x56, 28x28, 14x14, 7x7, each after the ReLU
of its last block. Smaller images work too; below 32x32 the last maps have one pixel.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models.resnet import BasicBlock, Bottleneck

from distillery.models.base import Classifier, FeatureRecorder

ARCHITECTURES = {
    "imagenet_resnet18": (BasicBlock, (2, 2, 2, 2)),
    "imagenet_resnet34": (BasicBlock, (3, 4, 6, 3)),
    "imagenet_resnet50": (Bottleneck, (3, 4, 6, 3)),
}
"""Name -> (block, number of blocks of the four stages)."""

_RGB = 3


def build(arch: str, *, num_classes: int, in_channels: int) -> ImageNetResNet:
    """Return a new network of this family."""
    block, blocks = ARCHITECTURES[arch]
    return ImageNetResNet(block, blocks, num_classes=num_classes, in_channels=in_channels)


class ImageNetResNet(Classifier):
    """Stem of stride 4 and four stages of basic or bottleneck blocks."""

    head_path = "fc"

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        blocks: tuple[int, int, int, int],
        *,
        num_classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        network = resnet.ResNet(block, list(blocks), num_classes=num_classes)
        self.conv1 = network.conv1 if in_channels == _RGB else _first_conv(in_channels)
        self.bn1 = network.bn1
        self.maxpool = network.maxpool
        self.layer1 = network.layer1
        self.layer2 = network.layer2
        self.layer3 = network.layer3
        self.layer4 = network.layer4
        self.fc = network.fc

    @property
    def _stages(self) -> tuple[nn.Sequential, ...]:
        return self.layer1, self.layer2, self.layer3, self.layer4

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, C, H, W) to the last map (B, D, h, w), recording stem and four stages."""
        x: Tensor = self.maxpool(F.relu(self.bn1(self.conv1(images)), inplace=True))
        recorder.record(x)
        for stage in self._stages:
            preactivation = x
            for block in stage:
                preactivation = _residual(block, x) + _shortcut(block, x)
                x = F.relu(preactivation)
                recorder.record_block(x)
            recorder.record(x, preactivation)
        return x

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        """Return the last BatchNorm of each stage's residual branch."""
        return [_last_norm(stage[-1]) for stage in self._stages]


def _residual(block: nn.Module, x: Tensor) -> Tensor:
    """Return the residual branch of a block; torchvision's own pass hides the sum before ReLU."""
    assert isinstance(block, BasicBlock | Bottleneck)
    x = F.relu(block.bn1(block.conv1(x)), inplace=True)
    x = block.bn2(block.conv2(x))
    if isinstance(block, Bottleneck):
        x = block.bn3(block.conv3(F.relu(x, inplace=True)))
    return x


def _shortcut(block: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(block, BasicBlock | Bottleneck)
    return x if block.downsample is None else block.downsample(x)


def _last_norm(block: nn.Module) -> nn.BatchNorm2d:
    norm = block.bn3 if isinstance(block, Bottleneck) else block.bn2
    assert isinstance(norm, nn.BatchNorm2d)
    return norm


def _first_conv(in_channels: int) -> nn.Conv2d:
    """Return the stem's convolution for other than colour images, drawn as torchvision does."""
    layer = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
