"""Layers, stages and initialisations that several families share."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.models.base import FeatureRecorder


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> nn.Conv2d:
    """Return a convolution with an odd kernel, padded so that stride 1 keeps the map size."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=bias,
    )


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Return the shortcut of a residual block that changes shape: 1x1 convolution and BatchNorm."""
    return nn.Sequential(
        conv(in_channels, out_channels, 1, stride=stride), nn.BatchNorm2d(out_channels)
    )


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return the layers of a convolution without bias, its BatchNorm and its ReLU."""
    return [
        conv(in_channels, out_channels, kernel, stride=stride, groups=groups),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def run_residual_stages(
    x: Tensor, stages: Iterable[nn.Sequential], recorder: FeatureRecorder
) -> Tensor:
    """Run stages of blocks that return their sum before its ReLU, recording all of them.

    Args:
        x: (B, c, h, w), the map of the stem, which is recorded first.
        stages: the blocks of each stage.
        recorder: gets the map of each stage and the output of each block.

    Returns:
        (B, C, H, W), the map of the last stage.
    """
    recorder.record(x)
    for stage in stages:
        preactivation = x
        for block in stage:
            preactivation = block(x)
            x = F.relu(preactivation)
            recorder.record_block(x)
        recorder.record(x, preactivation)
    return x


def init_convs(model: nn.Module) -> None:
    """Draw the convolutions as He et al. (2015) do for ReLU, by fan-out: std sqrt(2 / (k*k*out)).

    The fan-out of a grouped convolution counts all output channels, as the references count it.
    Biases are zero. BatchNorm keeps PyTorch's weight 1 and bias 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def init_small_head(head: nn.Linear) -> None:
    """Draw a head's weights with standard deviation 0.01; its bias is zero."""
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
