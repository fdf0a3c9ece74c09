"""Points between two points on the unit sphere, by the curve that the options ask for."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Generator, Tensor

from distillery.core.settings import FrozenModel
from distillery.geometry import curves, tangents
from distillery.geometry.sphere import is_antipodal, unit
from distillery.methods.parts.class_means import class_means
from distillery.methods.parts.pair_policies import Pairs, Side
from distillery.methods.parts.spline_neighbours import Neighbours, neighbours_of

Interpolation = Literal["linear", "slerp", "hermite", "bezier", "mixup", "extrapolation"]
Tangents = Literal[
    "zero", "geodesic", "cardinal", "kochanek-bartels", "random", "anchor", "centroid"
]
WITH_TANGENTS: frozenset[Interpolation] = frozenset({"hermite", "bezier"})
"""Interpolations that read the tangents."""


class CurveOptions(FrozenModel):
    """The curve from one point of a pair to the other."""

    interpolation: Interpolation = "hermite"
    """Straight line; great circle; cubic; quadratic; random places on the line; or places beyond
    the second end."""
    tangents: Tangents = "cardinal"
    """End velocities of `hermite`; `bezier` has its control point where they point to. None; along
    the great circle; of the splines through neighbours; random; towards the anchor; or away from
    the centre of each end's class."""
    scale: float = Field(default=1.0, gt=0)
    """Length of the velocities `geodesic`, `random`, `anchor` and `centroid`, in units of the angle
    between the ends."""
    tension: float = Field(default=0.0, ge=-1, le=1)
    """Of the splines: 0 for Catmull-Rom, 1 for no velocity."""
    continuity: float = Field(default=0.0, ge=-1, le=1)
    """Of `kochanek-bartels`."""
    bias: float = Field(default=0.0, ge=-1, le=1)
    """Of `kochanek-bartels`: towards the following (-1) or the preceding chord (1)."""
    neighbours: Neighbours = "nearest"
    """What comes before and after the pair in a spline: the nearest other point of the batch, the
    nearest of the end's class, or the mean of its class. An end without any is its own."""
    reproject: bool = True
    """Whether points are projected back to the sphere."""
    alpha: float = Field(default=1.0, gt=0)
    """Shape of the Beta law of `mixup`; 1 for uniform places."""
    reach: float = Field(default=0.5, gt=0)
    """How far beyond the second end `extrapolation` goes, in units of the distance."""

    @property
    def is_directed(self) -> bool:
        """Whether the curve from p0 to p1 differs from that from p1 to p0."""
        bends = self.tangents == "kochanek-bartels" and self.bias != 0
        return self.interpolation == "extrapolation" or (
            self.interpolation in WITH_TANGENTS and bends
        )

    @property
    def follows_anchor(self) -> bool:
        """Whether each anchor has curves of its own between the same points."""
        return self.interpolation in WITH_TANGENTS and self.tangents == "anchor"


class Curves(NamedTuple):
    """Points on curves; leading shape (P,), or (B, P) where each anchor has its own."""

    start: Tensor
    """(..., P, D) unit vectors."""
    end: Tensor
    """(..., P, D) unit vectors."""
    points: Tensor
    """(..., P, n, D)."""
    valid: Tensor
    """(..., P) bool: pairs that exist, and are not antipodal."""


def draw_curves(
    side: Side,
    table: Tensor,
    pairs: Pairs,
    n: int,
    options: CurveOptions,
    generator: Generator,
    *,
    beyond_middle: bool = False,
) -> Curves:
    """Return n points on the curve of every pair.

    Args:
        side: the batch.
        table: (M, D) unit vectors that the pairs are rows of.
        pairs: what to interpolate between.
        n: points on a curve, at ``k / (n + 1)`` of it unless they are random.
        options: the curve.
        generator: source of random places and tangents.
        beyond_middle: squeeze the places into the second half, where the first end has the lesser
            share.
    """
    start, end = table[pairs.first], table[pairs.second]
    if options.follows_anchor and start.dim() == 2:
        shape = (len(side.anchors), *start.shape)
        start, end = start.expand(shape), end.expand(shape)
    places = curves.positions(n, start)
    if options.interpolation == "mixup":
        places = curves.mixup_positions(n, start, generator, options.alpha)
    if beyond_middle and options.interpolation != "extrapolation":
        places = (1 + places) / 2
    points = _interpolate(side, table, pairs, (start, end), places, options, generator)
    valid = (pairs.valid & ~is_antipodal(start, end)).expand(start.shape[:-1])
    return Curves(start, end, unit(points) if options.reproject else points, valid)


def _interpolate(
    side: Side,
    table: Tensor,
    pairs: Pairs,
    ends: tuple[Tensor, Tensor],
    places: Tensor,
    options: CurveOptions,
    generator: Generator,
) -> Tensor:
    """Return the points of the curves, (..., P, n, D), as the formulas give them."""
    kind = options.interpolation
    if kind == "slerp":
        return curves.slerp(*ends, places)
    if kind == "extrapolation":
        return curves.extrapolate(*ends, places, options.reach)
    if kind not in WITH_TANGENTS:
        return curves.linear(*ends, places)
    start, end = ends
    leaving, arriving = _velocities(side, table, pairs, ends, options, generator)
    if kind == "hermite":
        return curves.hermite(start, end, leaving, arriving, places)
    # A quadratic has one control point: the middle of where the two velocities want it.
    control = (start + end) / 2 + (leaving - arriving) / 4
    return curves.bezier(start, control, end, places)


def _velocities(
    side: Side,
    table: Tensor,
    pairs: Pairs,
    ends: tuple[Tensor, Tensor],
    options: CurveOptions,
    generator: Generator,
) -> tuple[Tensor, Tensor]:
    """Return the velocities at both ends, (..., P, D) each."""
    start, end = ends
    family, scale = options.tangents, options.scale
    if family == "zero":
        return torch.zeros_like(start), torch.zeros_like(end)
    if family == "geodesic":
        return tangents.geodesic(start, end, scale)
    if family == "random":
        return tangents.random_plane(start, end, scale, generator)
    if family == "anchor":
        return tangents.towards(start, end, side.anchors.detach()[:, None, :], scale)
    if family == "centroid":
        means = class_means(side.candidates, side.same_class)
        first, second = (means[rows % len(means)] for rows in (pairs.first, pairs.second))
        leaving, _ = tangents.outward(start, end, first, scale)
        _, arriving = tangents.outward(start, end, second, scale)
        return leaving, arriving
    before = neighbours_of(side, table, pairs.first, pairs.second, options.neighbours)
    after = neighbours_of(side, table, pairs.second, pairs.first, options.neighbours)
    if family == "cardinal":
        return tangents.cardinal(before, start, end, after, options.tension)
    shape = options.tension, options.continuity, options.bias
    return tangents.kochanek_bartels(before, start, end, after, *shape)
