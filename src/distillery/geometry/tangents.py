"""End velocities of cubic Hermite curves between unit vectors.

Every family returns ``(m0, m1)`` for p0 and p1, (..., D) each. Those that choose but a direction
give both the length ``scale * theta``, with theta the angle between p0 and p1: with scale 1 that is
the speed at which a point passes from p0 to p1 on the great circle in unit time.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from distillery.geometry.sphere import WIDEST, angle, random_tangent, tangent, unit


def geodesic(p0: Tensor, p1: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return the velocities along the great circle: those of ``slerp``, times ``scale``.

    Ends and velocities are (..., D). The curve stays in the plane of its end points. Antipodal
    points give next to nothing.
    """
    theta = angle(p0, p1)[..., None]
    theta = theta.masked_fill(theta > WIDEST, 0)
    # theta / sin(theta), which is 1 where theta is 0.
    factor = scale / torch.sinc(theta / torch.pi)
    return factor * tangent(p0, p1 - p0), -factor * tangent(p1, p0 - p1)


def cardinal(
    before: Tensor, p0: Tensor, p1: Tensor, after: Tensor, tension: float
) -> tuple[Tensor, Tensor]:
    """Return the tangents of the cardinal spline through four points in this order.

    Args:
        before: (..., D), the neighbour of p0, or p0 itself for want of one.
        p0: (..., D), start of the curve.
        p1: (..., D), its end.
        after: (..., D), the neighbour of p1, or p1 itself for want of one.
        tension: 0 for Catmull-Rom, 1 for no velocity.
    """
    factor = (1 - tension) / 2
    return factor * (p1 - before), factor * (after - p0)


def kochanek_bartels(
    before: Tensor,
    p0: Tensor,
    p1: Tensor,
    after: Tensor,
    tension: float,
    bias: float,
) -> tuple[Tensor, Tensor]:
    """Return the tangents of Kochanek and Bartels 1984 through four points in this order.

    Their third parameter, which makes corners at the points, is 0. A bias of 0 gives the cardinal
    spline.

    Args:
        before: (..., D), the neighbour of p0.
        p0: (..., D), start of the curve.
        p1: (..., D), its end.
        after: (..., D), the neighbour of p1.
        tension: from -1 (wide) to 1 (tight).
        bias: from -1 (leans to the following chord) to 1 (to the preceding one).
    """
    factor = (1 - tension) / 2
    chord = p1 - p0
    m0 = factor * ((1 + bias) * (p0 - before) + (1 - bias) * chord)
    m1 = factor * ((1 + bias) * chord + (1 - bias) * (after - p1))
    return m0, m1


def random_plane(
    p0: Tensor, p1: Tensor, scale: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Return tangents (..., D) in random directions, independent of each other, at (..., D) ends.

    The curves fill a tube around the arc.
    """
    speed = _speed(p0, p1, scale)
    return speed * random_tangent(p0, generator), speed * random_tangent(p1, generator)


def towards(p0: Tensor, p1: Tensor, anchor: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return tangents that bend the curve towards ``anchor`` (..., D).

    It leaves p0 in the anchor's direction and comes to p1 from there. An end that is the anchor
    gets no velocity.
    """
    speed = _speed(p0, p1, scale)
    return speed * unit(tangent(p0, anchor - p0)), -speed * unit(tangent(p1, anchor - p1))


def outward(p0: Tensor, p1: Tensor, centre: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return tangents that bend the curve away from ``centre`` (..., D), of any length."""
    return towards(p0, p1, centre, -scale)


def _speed(p0: Tensor, p1: Tensor, scale: float) -> Tensor:
    return scale * angle(p0, p1)[..., None]
