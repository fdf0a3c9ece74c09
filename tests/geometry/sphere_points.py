"""Pairs of points on the sphere for the tests."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

D = 128
"""Dimension of the space of the contrastive methods, for which the tests' numbers hold."""

seeds = st.integers(0, 10_000)
angles = st.floats(0.02, 3.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_points(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    # Not the numbers that a test draws with the generator of the same seed.
    numbers = torch.randn(*shape, generator=generator(seed + 1_000_000), dtype=dtype)
    return F.normalize(numbers, dim=-1)


def pair_at(theta: float, dim: int = D, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return two points (dim,) whose angle is theta, in no special position."""
    p0, other = random_points(2, dim, seed=seed)
    across = F.normalize(other - (other @ p0) * p0, dim=0)
    return p0, math.cos(theta) * p0 + math.sin(theta) * across


def is_unit(points: Tensor, tolerance: float = 1e-12) -> bool:
    return bool(((points.norm(dim=-1) - 1).abs() <= tolerance).all())
