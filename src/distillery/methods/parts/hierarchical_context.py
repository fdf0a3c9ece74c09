"""Hierarchical context loss, ReviewKD's distance of two maps (Chen et al., CVPR 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from distillery.methods.parts.pooling import pool_to


def hierarchical_context(student: Tensor, teacher: Tensor, levels: Sequence[int]) -> Tensor:
    """Return the mean squared error of two maps at several resolutions, averaged with weights.

    Full resolution has weight 1. Every level that is smaller than the maps' height adds the error
    of the maps average-pooled to (level, level), with half the weight of the one before it.

    Args:
        student: (B, C, H, W).
        teacher: (B, C, H, W).
        levels: resolutions, from fine to coarse.

    Returns:
        Scalar, the weighted mean over the resolutions.
    """
    loss = F.mse_loss(student, teacher)
    weight, total = 1.0, 1.0
    for level in levels:
        if level < student.shape[2]:
            weight /= 2
            total += weight
            ours, theirs = (pool_to(maps, level, level) for maps in (student, teacher))
            loss = loss + weight * F.mse_loss(ours, theirs)
    return loss / total
