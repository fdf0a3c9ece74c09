"""What AECRD logs of a step: what its synthetic points are like, and whether they matter."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from distillery.geometry.curves import out_of_plane_angle
from distillery.geometry.sphere import angle
from distillery.methods.parts import synthetic_log as log
from distillery.methods.parts.contrast_measures import (
    alignment,
    hardness_histogram,
    masked_mean,
    uniformity,
)
from distillery.methods.parts.hard_selection import hardest
from distillery.methods.parts.pair_policies import Side
from distillery.methods.parts.synthetic_points import SyntheticPoints

# Of how many the share of synthetic points is measured where the selection has no limit.
_TOP_K = 16


class Contrasted(NamedTuple):
    """What the anchors of a batch were contrasted with; N is the batch, K the synthetic points."""

    real: Tensor
    """(B, N) cosines."""
    synthetic: Tensor
    """(B, K) cosines."""
    real_allowed: Tensor
    """(B, N) bool: of another class."""
    synthetic_allowed: Tensor
    """(B, K) bool: what the filters let through."""
    real_chosen: Tensor
    """(B, N) bool: what the selection chose of these."""
    synthetic_chosen: Tensor
    """(B, K) bool."""


@torch.no_grad()
def diagnose(
    side: Side,
    made: SyntheticPoints,
    found: Contrasted,
    labels: Tensor,
    top_k: int | Literal["all"],
) -> dict[str, Tensor]:
    """Return the figures of a step by their names in ``synthetic_log``.

    What is undefined in a batch is left out: synthetic points' figures where there are none.

    Args:
        side: the student's anchors and the teacher's candidates.
        made: the synthetic points.
        found: which of them were negatives.
        labels: (B,) int64, the true classes, also where the loss does without.
        top_k: limit of the selection.
    """
    figures = {log.ALIGNMENT: alignment(side.anchors, side.candidates)}
    if len(labels) > 1:
        figures[log.STUDENT_UNIFORMITY] = uniformity(side.anchors)
        figures[log.TEACHER_UNIFORMITY] = uniformity(side.candidates)
    if found.real_chosen.any():
        figures[log.REAL_HARDNESS] = hardness_histogram(found.real, found.real_chosen)
    if made.curves is not None and made.curves.valid.any():
        start, end, points, valid = made.curves
        figures[log.PAIR_ANGLE] = _degrees(masked_mean(angle(start, end), valid))
        outside = out_of_plane_angle(points, start, end).mean(dim=-1)
        figures[log.OUT_OF_PLANE] = _degrees(masked_mean(outside, valid))
    if found.synthetic_chosen.any():
        chosen = found.synthetic_chosen
        figures[log.SYNTHETIC_HARDNESS] = hardness_histogram(found.synthetic, chosen)
        nearest = labels[(made.points @ side.candidates.T).argmax(dim=-1)]
        is_false = (nearest == labels[:, None]).to(found.synthetic)
        figures[log.FALSE_NEGATIVES] = masked_mean(is_false, chosen)
    if made.curves is not None:
        places = hardest(*found[:4], _TOP_K if top_k == "all" else top_k)
        taken = [part.sum() for part in places]
        figures[log.TOP_K_SHARE] = taken[1] / (taken[0] + taken[1]).clamp_min(1)
    return {name: figure.detach() for name, figure in figures.items()}


def _degrees(radians: Tensor) -> Tensor:
    return radians * (180 / math.pi)
