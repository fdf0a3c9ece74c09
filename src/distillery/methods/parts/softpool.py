"""SoftPool (Stergiou et al., ICCV 2021, arXiv:2101.00440): an average weighted by exponentials.

Within a window of one channel, ``sum_i exp(x_i) x_i / sum_i exp(x_i)``. The weights are a softmax,
computed after subtraction of the window's largest value, and gradients flow through them. Windows
are never padded. (The released CPU code sums the exponentials over channels; that is not SoftPool.)
"""

from __future__ import annotations

from torch import Tensor

from distillery.methods.parts.precision import at_least_single


def soft_pool(maps: Tensor) -> Tensor:
    """Pool each channel of maps (B, C, H, W) to one number, (B, C)."""
    return _pool(maps.flatten(2))


def soft_pool2d(maps: Tensor, kernel: int, stride: int | None = None) -> Tensor:
    """Pool square windows of maps (B, C, H, W).

    Args:
        maps: (B, C, H, W) with H and W at least ``kernel``.
        kernel: height and width of a window.
        stride: distance of the windows; None for ``kernel``.

    Returns:
        (B, C, (H - kernel) // stride + 1, (W - kernel) // stride + 1).
    """
    step = stride or kernel
    windows = maps.unfold(2, kernel, step).unfold(3, kernel, step)
    return _pool(windows.flatten(4))


def _pool(values: Tensor) -> Tensor:
    """Pool the last axis."""
    wide = at_least_single(values)
    return (wide.softmax(dim=-1) * wide).sum(dim=-1).to(values.dtype)
