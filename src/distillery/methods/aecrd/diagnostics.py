"""What AECRD logs of a step: what its synthetic points are like, and whether they matter."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from distillery.core import log_names as log
from distillery.geometry.curves import out_of_plane_angle
from distillery.geometry.sphere import angle
from distillery.methods.aecrd.negatives import hardest
from distillery.methods.aecrd.pairs import Side
from distillery.methods.aecrd.synthesis import SyntheticPoints
from distillery.methods.parts.similarity import squared_distances

# Of how many the share of synthetic points is measured where the selection has no limit.
_TOP_K = 16


class Contrasted(NamedTuple):
    """What the anchors of a batch were contrasted with: its B points, then K synthetic ones."""

    cosines: Tensor
    """(B, B + K)."""
    allowed: Tensor
    """(B, B + K) bool: of another class, and what the filters let through."""
    chosen: Tensor
    """(B, B + K) bool: what the selection chose of these."""


@torch.no_grad()
def diagnose(
    side: Side,
    made: SyntheticPoints,
    found: Contrasted,
    labels: Tensor,
    top_k: int | Literal["all"],
) -> dict[str, Tensor]:
    """Return the metrics of a step by their names in ``log_names``: scalars, and (BINS,) of two.

    What is undefined in a batch is left out: synthetic points' metrics where there are none.

    Args:
        side: the student's anchors and the teacher's candidates.
        made: the synthetic points.
        found: which of them were negatives.
        labels: (B,) int64, the true classes, also where the loss does without.
        top_k: limit of the selection.
    """
    batch = len(labels)
    cosines, chosen = found.cosines[:, batch:], found.chosen[:, batch:]
    metrics = {log.ALIGNMENT: alignment(side.anchors, side.candidates)}
    if batch > 1:
        metrics[log.STUDENT_UNIFORMITY] = uniformity(side.anchors)
        metrics[log.TEACHER_UNIFORMITY] = uniformity(side.candidates)
    if found.chosen[:, :batch].any():
        real = found.cosines[:, :batch], found.chosen[:, :batch]
        metrics[log.REAL_HARDNESS] = hardness_histogram(*real)
    if made.curves is not None and made.curves.valid.any():
        start, end, points, valid = made.curves
        metrics[log.PAIR_ANGLE] = _degrees(masked_mean(angle(start, end), valid))
        outside = out_of_plane_angle(points, start, end).mean(dim=-1)
        metrics[log.OUT_OF_PLANE] = _degrees(masked_mean(outside, valid))
    if chosen.any():
        metrics[log.SYNTHETIC_HARDNESS] = hardness_histogram(cosines, chosen)
        nearest = labels[(made.points @ side.candidates.T).argmax(dim=-1)]
        is_false = (nearest == labels[:, None]).to(cosines)
        metrics[log.FALSE_NEGATIVES] = masked_mean(is_false, chosen)
    if made.curves is not None:
        is_hard = hardest(found.cosines, found.allowed, _TOP_K if top_k == "all" else top_k)
        metrics[log.TOP_K_SHARE] = is_hard[:, batch:].sum() / is_hard.sum().clamp_min(1)
    return {name: metric.detach() for name, metric in metrics.items()}


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean squared distance of corresponding unit vectors (Wang and Isola 2020).

    Args:
        first: (B, D).
        second: (B, D).
    """
    return (first - second).square().sum(dim=1).mean()


def uniformity(points: Tensor) -> Tensor:
    """Return ``log mean exp(-2 |p_i - p_j|^2)`` over pairs i < j (Wang and Isola 2020).

    Args:
        points: (B, D) unit vectors, B at least 2.
    """
    first, second = torch.triu_indices(len(points), len(points), 1, device=points.device).unbind()
    distances = squared_distances(points)[first, second].clamp_min(0)
    return (-2 * distances).exp().mean().log()


def hardness_histogram(cosines: Tensor, counted: Tensor) -> Tensor:
    """Return the shares of cosines in bins of equal width from -1 to 1, (BINS,).

    Args:
        cosines: (B, M); those beyond -1 and 1 fall into the outer bins.
        counted: (B, M) bool; at least one should count.
    """
    bins = ((cosines + 1) * (log.BINS / 2)).long().clamp(0, log.BINS - 1)
    counts = torch.zeros(log.BINS, dtype=cosines.dtype, device=cosines.device)
    counts.scatter_add_(0, bins.flatten(), counted.to(cosines).flatten())
    return counts / counts.sum()


def masked_mean(values: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of values of any shape, of which at least one should be ``counted``."""
    return (values * counted).sum() / counted.sum()


def _degrees(radians: Tensor) -> Tensor:
    return radians * (180 / math.pi)
