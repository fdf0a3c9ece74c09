"""The synthetic points of a batch with what is known of their descent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from distillery.geometry.diffusion import radius_at
from distillery.methods.parts.class_means import class_spread
from distillery.methods.parts.pair_policies import PairOptions, Side, choose_pairs
from distillery.methods.parts.perturbation import DiffusionOptions, perturb
from distillery.methods.parts.synthesis import CurveOptions, Curves, draw_curves


@dataclass(frozen=True)
class SyntheticPoints:
    """K synthetic points; leading shape (K,), or (B, K) where each anchor has its own.

    Attributes:
        points: (..., K, D).
        parents: (..., K, 2) int64, rows of the batch for lengths and spreads, of the table else.
        classes: (..., K, 2) int64, the classes that the points may be of.
        namesakes: (..., K, 2) int64, rows of the table that these classes come from.
        valid: (..., K) bool.
        curves: where they come from; None without any.
        table: (M, D), the points that rows count in.
    """

    points: Tensor
    parents: Tensor
    classes: Tensor
    namesakes: Tensor
    valid: Tensor
    curves: Curves | None
    table: Tensor


def no_points(side: Side) -> SyntheticPoints:
    """Return no synthetic points."""
    points = side.candidates[:0].detach()
    rows = side.identity.new_zeros((0, 2))
    return SyntheticPoints(points, rows, rows, rows, rows.any(dim=1), None, side.candidates)


def make_points(
    side: Side,
    table: Tensor,
    n: int,
    options: tuple[PairOptions, CurveOptions, DiffusionOptions],
    progress: float,
    generator: Generator,
) -> SyntheticPoints:
    """Choose pairs, draw curves between them and diffuse the curves' points.

    Args:
        side: the batch, at least two images.
        table: (M, D) unit vectors that pairs may join; see ``pair_policies``.
        n: points on each curve.
        options: how.
        progress: share of the training that is done, for the radius of the diffusion.
        generator: source of all draws, on the device of the batch.
    """
    choice, curve, diffusion = options
    pairs = choose_pairs(side, choice, generator, curve.is_directed)
    is_own = choice.policy == "anchor-negative"
    curves = draw_curves(side, table, pairs, n, curve, generator, beyond_middle=is_own)
    parents = torch.stack((pairs.first, pairs.second), dim=-1)
    namesakes = torch.stack((pairs.first_label, pairs.second), dim=-1)
    radius = _radius(side, parents, n, diffusion, progress)
    points = perturb(curves.points, radius, diffusion, generator)
    shape = points.shape[:-1]

    def of_points(of_pairs: Tensor) -> Tensor:
        return of_pairs[..., None, :].expand(*shape, -1).flatten(-3, -2)

    batch = len(side.identity)
    return SyntheticPoints(
        points=points.flatten(-3, -2),
        parents=of_points(parents),
        classes=of_points(side.identity[namesakes % batch]),
        namesakes=of_points(namesakes),
        valid=of_points(curves.valid[..., None])[..., 0],
        curves=curves,
        table=table,
    )


def _radius(
    side: Side, parents: Tensor, n: int, options: DiffusionOptions, progress: float
) -> float | Tensor:
    """Return the radius of all points, or of each point of each pair (..., P, n)."""
    if options.schedule != "class-spread":
        return radius_at(options.schedule, options.radius, progress)
    spread = class_spread(side.candidates, side.same_class)[parents % len(side.identity)]
    radius = radius_at(options.schedule, options.radius, progress, spread.mean(dim=-1))
    assert isinstance(radius, Tensor)
    return radius[..., None].expand(*radius.shape, n)
