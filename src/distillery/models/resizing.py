"""Brings maps to another height and width, by operations that are deterministic on a GPU."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pool_to(maps: Tensor, height: int, width: int) -> Tensor:
    """Average maps (B, C, H, W) over windows, to (B, C, height, width).

    Maps of the right size come back as they are.
    """
    rows, columns = maps.shape[2:]
    if (rows, columns) == (height, width):
        return maps
    # Windows of equal size or of one value: unlike the adaptive kernel, deterministic on the GPU.
    if rows % height == 0 and columns % width == 0:
        return F.avg_pool2d(maps, (rows // height, columns // width))
    if height % rows == 0 and width % columns == 0:
        return enlarged(maps, height // rows, width // columns)
    return F.adaptive_avg_pool2d(maps, (height, width))


def enlarged(maps: Tensor, down: int, across: int) -> Tensor:
    """Repeat each value of maps (B, C, H, W) ``down`` times ``across``."""
    return maps.repeat_interleave(down, dim=2).repeat_interleave(across, dim=3)
