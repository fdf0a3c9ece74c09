"""Reduces maps over space or channels: averages, SoftPool, and activation maps.

SoftPool (Stergiou et al., ICCV 2021, arXiv:2101.00440) is an average weighted by exponentials.
Within a window of one channel, ``sum_i exp(x_i) x_i / sum_i exp(x_i)``. The weights are a softmax,
computed after subtraction of the window's largest value, and gradients flow through them. Windows
are never padded. (The released CPU code sums the exponentials over channels; that is not SoftPool.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from distillery.methods.parts.precision import upcast
from distillery.models.resizing import enlarged, pool_to


def to_same_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Average-pool the larger of two maps (B, C, H, W) and (B, C', H', W') to the other's size."""
    height = min(first.shape[2], second.shape[2])
    width = min(first.shape[3], second.shape[3])
    return pool_to(first, height, width), pool_to(second, height, width)


def activation_map(maps: Tensor, power: int) -> Tensor:
    """Return the mean over channels of the maps raised to ``power``, as unit vectors.

    Args:
        maps: (B, C, H, W).
        power: positive integer.

    Returns:
        (B, H * W), of Euclidean length 1; 0 for a sample without any activity.
    """
    if power % 2 == 0:
        # The norm keeps no powers of the maps for the backward pass.
        activity = torch.linalg.vector_norm(maps, power, dim=1).pow(power) / maps.shape[1]
    else:
        activity = maps.pow(power).mean(dim=1)
    return F.normalize(activity.flatten(1), dim=1)


def soft_pool(maps: Tensor) -> Tensor:
    """Pool each channel of maps (B, C, H, W) to one number, (B, C).

    The weights, as large as the maps, are computed again for the backward pass instead of kept.
    """
    pooled: Tensor = checkpoint(
        _pool_positions, maps, use_reentrant=False, preserve_rng_state=False
    )
    return pooled


def soft_pool2d(maps: Tensor, kernel: int | tuple[int, int], stride: int | None = None) -> Tensor:
    """Pool windows of maps (B, C, H, W).

    Args:
        maps: (B, C, H, W) with H and W at least those of ``kernel``.
        kernel: height and width of a window, or both in one number.
        stride: distance of the windows; None for the size of the kernel.

    Returns:
        (B, C, (H - rows) // stride + 1, (W - columns) // stride + 1).
    """
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    windows = maps.unfold(2, rows, stride or rows).unfold(3, columns, stride or columns)
    return _pool(windows.flatten(4), dim=4)


def soft_pool_to(maps: Tensor, height: int, width: int) -> Tensor:
    """Pool maps (B, C, H, W) to (B, C, height, width), over the windows of adaptive pooling.

    Window i of n along an axis of length m reaches from ``floor(i m / n)`` to ``ceil((i + 1) m /
    n)``. So windows overlap where m is no multiple of n, and a smaller map is enlarged by repeating
    its values. Maps of the right size come back as they are.
    """
    rows, columns = maps.shape[2:]
    if (rows, columns) == (height, width):
        return maps
    if rows % height == 0 and columns % width == 0:
        return soft_pool2d(maps, (rows // height, columns // width))
    if height % rows == 0 and width % columns == 0:
        return enlarged(maps, height // rows, width // columns)
    lines = [
        torch.stack(
            [
                soft_pool(maps[:, :, top:bottom, left:right])
                for left, right in _windows(columns, width)
            ],
            dim=2,
        )
        for top, bottom in _windows(rows, height)
    ]
    return torch.stack(lines, dim=2)


def _windows(length: int, count: int) -> list[tuple[int, int]]:
    """Return start and end of each window of adaptive pooling."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _pool_positions(maps: Tensor) -> Tensor:
    # Networks keep their maps channels_last: a view, and the fastest softmax.
    return _pool(maps.permute(0, 2, 3, 1).flatten(1, 2), dim=1)


def _pool(values: Tensor, dim: int) -> Tensor:
    """Pool an axis, which disappears."""
    wide = upcast(values)
    return (wide.softmax(dim) * wide).sum(dim).to(values.dtype)
