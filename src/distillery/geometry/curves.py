"""Points between two points: straight, along the great circle, and on polynomial curves.

End points and tangents are (..., D), positions ``t`` are (n,) or (..., n), points on the curve are
(..., n, D). Only ``slerp`` stays on the sphere; ``sphere.unit`` brings the others back.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from distillery.geometry import draws
from distillery.geometry.sphere import WIDEST, angle, arc, tangent, unit


def positions(n: int, like: Tensor) -> Tensor:
    """Return ``k / (n + 1)`` for k = 1..n, shape (n,), as Embedding Expansion spaces its points.

    Ko and Gu 2020, arXiv:2003.02546.
    """
    return torch.arange(1, n + 1, dtype=like.dtype, device=like.device) / (n + 1)


def random_positions(n: int, like: Tensor, generator: Generator) -> Tensor:
    """Draw n positions from U(0, 1) for each row of ``like`` (..., D), shape (..., n).

    As mixup does by default (Zhang et al. 2018, arXiv:1710.09412).
    """
    return draws.uniform((*like.shape[:-1], n), like, generator)


def linear(p0: Tensor, p1: Tensor, t: Tensor) -> Tensor:
    """Return ``(1 - t) p0 + t p1``, (..., n, D)."""
    return _at(p0, 1 - t) + _at(p1, t)


def extrapolate(p0: Tensor, p1: Tensor, t: Tensor) -> Tensor:
    """Return points beyond ``p1`` on the line from ``p0``, at ``1 + t / 2``, (..., n, D)."""
    return linear(p0, p1, 1 + t / 2)


def slerp(p0: Tensor, p1: Tensor, t: Tensor) -> Tensor:
    """Return points on the great circle between unit vectors (Shoemake 1985), (..., n, D).

    The usual quotients of sines are written with ``sin(x) / x``, so that small angles need no case
    of their own. Between antipodal points no great circle is singled out: they give the nearer end.
    """
    theta = angle(p0, p1)[..., None]
    is_undefined = theta > WIDEST
    t = torch.where(is_undefined, t.round().clamp(0, 1), t)
    theta = theta.masked_fill(is_undefined, 0)
    return _at(p0, _sine_share(1 - t, theta)) + _at(p1, _sine_share(t, theta))


def hermite(p0: Tensor, p1: Tensor, m0: Tensor, m1: Tensor, t: Tensor) -> Tensor:
    """Return points of the cubic from p0 to p1 with velocity m0 at its start and m1 at its end.

    Its deviation from ``linear`` is ``t (1 - t) ((1 - t) (m0 - d) - t (m1 - d))``, ``d = p1 - p0``.

    Returns:
        (..., n, D).
    """
    left = 1 - t
    return (
        _at(p0, (1 + 2 * t) * left**2)
        + _at(p1, t**2 * (3 - 2 * t))
        + _at(m0, t * left**2)
        - _at(m1, t**2 * left)
    )


def bezier(p0: Tensor, control: Tensor, p1: Tensor, t: Tensor) -> Tensor:
    """Return points of the quadratic Bezier curve, (..., n, D)."""
    left = 1 - t
    return _at(p0, left**2) + _at(control, 2 * t * left) + _at(p1, t**2)


def out_of_plane_angle(points: Tensor, p0: Tensor, p1: Tensor) -> Tensor:
    """Return the angles between points and the planes of the great circles, in radians.

    Args:
        points: (..., n, D), of any length.
        p0: unit vectors (..., D).
        p1: unit vectors (..., D) that span the planes with ``p0``; where they are coincident or
            antipodal, the angle is that to their line.

    Returns:
        (..., n), between 0 and pi / 2.
    """
    first, second = p0[..., None, :], unit(tangent(p0, p1 - p0))[..., None, :]
    x = (points * first).sum(dim=-1)
    y = (points * second).sum(dim=-1)
    outside = points - x[..., None] * first - y[..., None] * second
    return arc(torch.linalg.vector_norm(outside, dim=-1), _hypotenuse(x, y))


def _at(vector: Tensor, weight: Tensor) -> Tensor:
    """Multiply (..., D) by (n,) or (..., n) to (..., n, D)."""
    return weight[..., None] * vector[..., None, :]


def _sine_share(share: Tensor, theta: Tensor) -> Tensor:
    """Return ``sin(share * theta) / sin(theta)``, which is ``share`` where theta is 0."""
    return share * torch.sinc(share * theta / torch.pi) / torch.sinc(theta / torch.pi)


def _hypotenuse(x: Tensor, y: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(torch.stack((x, y)), dim=0)
    return length
