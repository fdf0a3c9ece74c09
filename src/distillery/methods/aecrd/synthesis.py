"""Synthetic points: on the curves between pairs of points of the unit sphere, and around them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from distillery.geometry import curves, diffusion, tangents
from distillery.geometry.sphere import is_antipodal, unit
from distillery.methods.aecrd.centroids import class_means
from distillery.methods.aecrd.options import (
    AECRDOptions,
    CurveOptions,
    DiffusionOptions,
    Neighbours,
)
from distillery.methods.aecrd.pairs import Pairs, Side, choose_pairs

# Of a random walk; its mean square angle does not depend on it.
_STEPS = 4
# Below this radius (0.06 degrees) the concentration would leave single precision.
_SMALLEST = 1e-3

Ends = tuple[Tensor, Tensor]


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


@dataclass(frozen=True)
class SyntheticPoints:
    """K synthetic points; leading shape (K,), or (B, K) where each anchor has its own.

    Attributes:
        points: (..., K, D).
        parents: (..., K, 2) int64, rows of the table.
        classes: (..., K, 2) int64, the classes that the points may be of.
        class_rows: (..., K, 2) int64, rows of the table that these classes come from.
        valid: (..., K) bool.
        curves: where they come from; None without any.
        table: (M, D), the points that rows count in.
    """

    points: Tensor
    parents: Tensor
    classes: Tensor
    class_rows: Tensor
    valid: Tensor
    curves: Curves | None
    table: Tensor


def no_points(side: Side) -> SyntheticPoints:
    """Return no synthetic points."""
    points = side.candidates[:0].detach()
    rows = side.identity.new_zeros((0, 2))
    return SyntheticPoints(points, rows, rows, rows, rows.any(dim=1), None, side.candidates)


def make_points(
    side: Side, table: Tensor, options: AECRDOptions, generator: Generator
) -> SyntheticPoints:
    """Choose pairs, draw curves between them and diffuse the curves' points.

    Args:
        side: the batch, at least two images.
        table: (M, D) unit vectors that pairs may join; see ``pairs``.
        options: how.
        generator: source of all draws, on the device of the batch.
    """
    pairs = choose_pairs(side, options.pairs, generator, options.curve.is_directed)
    made = draw_curves(
        side,
        table,
        pairs,
        options.synthetic.n,
        options.curve,
        generator,
        beyond_middle=options.pairs.policy == "anchor-negative",
    )
    points = perturb(made.points, options.diffusion, generator)
    class_rows = torch.stack((pairs.class_row, pairs.second), dim=-1)
    shape = points.shape[:-1]

    def of_points(of_pairs: Tensor) -> Tensor:
        return of_pairs[..., None, :].expand(*shape, -1).flatten(-3, -2)

    return SyntheticPoints(
        points=points.flatten(-3, -2),
        parents=of_points(torch.stack((pairs.first, pairs.second), dim=-1)),
        classes=of_points(side.identity[class_rows % len(side.identity)]),
        class_rows=of_points(class_rows),
        valid=of_points(made.valid[..., None])[..., 0],
        curves=made,
        table=table,
    )


# Curves


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
        generator: source of random positions and tangents.
        beyond_middle: squeeze the positions into the second half, where the first end has the
            lesser share.
    """
    start, end = table[pairs.first], table[pairs.second]
    if options.follows_anchor and start.dim() == 2:
        shape = (len(side.anchors), *start.shape)
        start, end = start.expand(shape), end.expand(shape)
    positions = curves.positions(n, start)
    if options.interpolation == "mixup":
        positions = curves.random_positions(n, start, generator)
    if beyond_middle and options.interpolation != "extrapolation":
        positions = (1 + positions) / 2
    points = _interpolate(side, table, pairs, (start, end), positions, options, generator)
    valid = (pairs.valid & ~is_antipodal(start, end)).expand(start.shape[:-1])
    return Curves(start, end, unit(points) if options.reproject else points, valid)


def _interpolate(
    side: Side,
    table: Tensor,
    pairs: Pairs,
    ends: Ends,
    positions: Tensor,
    options: CurveOptions,
    generator: Generator,
) -> Tensor:
    """Return the points of the curves, (..., P, n, D), as the formulas give them."""
    kind = options.interpolation
    if kind == "slerp":
        return curves.slerp(*ends, positions)
    if kind == "extrapolation":
        return curves.extrapolate(*ends, positions)
    if not options.is_bent:
        return curves.linear(*ends, positions)
    start, end = ends
    leaving, arriving = _velocities(side, table, pairs, ends, options, generator)
    if kind == "hermite":
        return curves.hermite(start, end, leaving, arriving, positions)
    # A quadratic has one control point: the middle of where the two velocities want it.
    control = (start + end) / 2 + (leaving - arriving) / 4
    return curves.bezier(start, control, end, positions)


def _velocities(
    side: Side,
    table: Tensor,
    pairs: Pairs,
    ends: Ends,
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
    return tangents.kochanek_bartels(before, start, end, after, options.tension, options.bias)


def neighbours_of(
    side: Side, table: Tensor, rows: Tensor, partners: Tensor, kind: Neighbours
) -> Tensor:
    """Return a neighbour of each end of a pair, other than the pair's other end.

    Args:
        side: the batch.
        table: (M, D) points that rows count in; the first B are the batch's candidates.
        rows: (..., P) int64, the ends.
        partners: (..., P) int64, the other ends.
        kind: the nearest other point of the batch, the nearest one of the end's class, or the mean
            of the end's class in the batch.

    Returns:
        (..., P, D); the end itself for want of a neighbour.
    """
    if kind == "centroid":
        return class_means(side.candidates, side.same_class)[rows % len(side.candidates)]
    indices, exists = _two_nearest(side, table, same_class=kind == "same-class")
    is_taken = indices[rows][..., 0] == partners
    choice = is_taken.long()[..., None]
    neighbour = indices[rows].gather(-1, choice)[..., 0]
    known = exists[rows].gather(-1, choice)
    return torch.where(known, side.candidates[neighbour], table[rows])


def _two_nearest(side: Side, table: Tensor, *, same_class: bool) -> tuple[Tensor, Tensor]:
    """Return the two nearest points of the batch to each of the table, and whether they exist.

    Returns:
        (M, 2) int64 and bool.
    """
    batch = len(side.candidates)
    similarity = table @ side.candidates.T
    similarity[:batch].fill_diagonal_(-torch.inf)
    if same_class:
        owners = torch.arange(len(table), device=table.device) % batch
        similarity = similarity.masked_fill(~side.same_class[owners], -torch.inf)
    nearest = similarity.topk(2, dim=1)
    return nearest.indices, nearest.values > -torch.inf


# Diffusion: its perturbing reading


def perturb(points: Tensor, options: DiffusionOptions, generator: Generator) -> Tensor:
    """Return random copies of points.

    Args:
        points: (..., n, D) unit vectors.
        options: law, radius and number of copies.
        generator: source of the draws.

    Returns:
        (..., n * copies, D) unit vectors, the copies of a point adjacent; ``points`` without
        diffusion.
    """
    kind, radius = options.kind, options.radius
    if kind == "none":
        return points
    copied = points.repeat_interleave(options.copies, dim=-2)
    if kind == "gaussian":
        return diffusion.gaussian(copied, radius, generator)
    if kind == "cap":
        return diffusion.cap(copied, radius, generator)
    if kind == "random-walk":
        return diffusion.random_walk(copied, radius, _STEPS, generator)
    kappa = concentration(radius, points.shape[-1])
    return diffusion.von_mises_fisher(copied, kappa, generator)


def concentration(radius: float, dim: int) -> float:
    """Return kappa of a von Mises-Fisher law whose mean cosine is about that of ``radius``.

    The inverse of ``kappa / (v + sqrt(kappa^2 + v^2))`` with ``v = (dim - 1) / 2``.

    Args:
        radius: radians, up to pi / 2.
        dim: of the space.
    """
    radius = max(radius, _SMALLEST)
    return (dim - 1) * max(math.cos(radius), 0.0) / math.sin(radius) ** 2
