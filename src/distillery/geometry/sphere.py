"""The unit sphere: angles, tangents and the exponential map.

Points are rows of tensors (..., D); leading dimensions broadcast. Values and gradients are finite
everywhere, also at zero vectors, coincident and antipodal points.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from distillery.geometry import draws

ANTIPODAL = -0.9995
"""Cosine below which two points have no great circle of their own."""
WIDEST = math.acos(ANTIPODAL)
"""The same as an angle in radians (178.2 degrees), which no rounding of lengths changes."""


def unit(x: Tensor) -> Tensor:
    """Scale vectors (..., D) to length 1; those shorter than the dtype's epsilon become 0.

    A vector as short as that has no direction but rounding errors, and gets no gradient.
    """
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    is_null = length < torch.finfo(x.dtype).eps
    return (x / length.masked_fill(is_null, 1)).masked_fill(is_null, 0)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Return the angle between vectors in radians, (..., D) and (..., D) -> (...).

    Twice the arc tangent of ``|a - b| / |a + b|`` for unit vectors (Kahan 2006, "How futile are
    mindless assessments of roundoff"): accurate to rounding for tiny angles and close to pi, where
    the arc cosine loses half of the digits and has no finite gradient.
    """
    a, b = unit(a), unit(b)
    return 2 * arc(torch.linalg.vector_norm(a - b, dim=-1), torch.linalg.vector_norm(a + b, dim=-1))


def arc(opposite: Tensor, adjacent: Tensor) -> Tensor:
    """Return the angle in [0, pi / 2] of a right triangle from its legs, any shape, at least 0.

    Within rounding it is the arc tangent of their quotient, with a finite gradient also where both
    legs are 0.
    """
    return torch.atan2(opposite, adjacent.clamp_min(torch.finfo(adjacent.dtype).eps))


def is_antipodal(p0: Tensor, p1: Tensor) -> Tensor:
    """Tell which pairs of unit vectors (..., D) have no great circle of their own, (...) bool."""
    return angle(p0, p1) > WIDEST


def tangent(base: Tensor, vector: Tensor) -> Tensor:
    """Project vectors (..., D) to the tangent planes at unit vectors ``base`` (..., D)."""
    return vector - (vector * base).sum(dim=-1, keepdim=True) * base


def exponential(base: Tensor, tangent: Tensor) -> Tensor:
    """Follow great circles from points in the directions of tangents, by the tangents' lengths.

    Args:
        base: unit vectors (..., D).
        tangent: vectors (..., D) orthogonal to them; their lengths are the angles in radians.

    Returns:
        Unit vectors (..., D).
    """
    length = torch.linalg.vector_norm(tangent, dim=-1, keepdim=True)
    return torch.cos(length) * base + torch.sinc(length / torch.pi) * tangent


def random_tangent(base: Tensor, generator: Generator) -> Tensor:
    """Draw unit tangents (..., D) at unit vectors ``base`` (..., D), all directions alike."""
    return unit(tangent(base, draws.normal(base.shape, base, generator)))
