"""Which synthetic points may be negatives of which anchor.

Points are (K, D) where all anchors share them, otherwise (B, K, D); answers are always (B, K).
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.parts.pair_policies import Side, first_of_class


class FilterOptions(FrozenModel):
    """Filters beside that by labels, which is always on where labels are used."""

    collision: bool = False
    """Whether points are dropped that come nearer to the anchor's class than to their parents."""
    margin: float = Field(default=0.0, ge=0)
    """Cosine by which the parents must be nearer."""
    classifier: Literal["none", "drop", "soft"] = "none"
    """What the teacher's classifier has to say: nothing; points that it takes for the anchor's
    class are dropped; or points count by one minus their probability of it. Needs
    `head: teacher-space`."""
    threshold: float = Field(default=0.1, gt=0, le=1)
    """Probability of the anchor's class above which `drop` drops a point, even if another class
    has more."""


def similarities(anchors: Tensor, points: Tensor) -> Tensor:
    """Return the inner products of anchors (B, D) with their points, (B, K)."""
    return anchors @ points.T if points.dim() == 2 else (points @ anchors[:, :, None])[:, :, 0]


def differs_from(parents: Tensor, identity: Tensor) -> Tensor:
    """Tell whose class none of the parents has, (B, K).

    Args:
        parents: (K, 2) or (B, K, 2) int64, classes of the parents.
        identity: (B,) int64, classes of the anchors.
    """
    return (parents != _per_anchor(identity, parents)).all(dim=-1)


def inherits(parents: Tensor, identity: Tensor) -> Tensor:
    """Tell whose class all parents have, (B, K); arguments as in ``differs_from``."""
    return (parents == _per_anchor(identity, parents)).all(dim=-1)


def stays_clear(
    side: Side, points: Tensor, table: Tensor, parents: Tensor, margin: float
) -> Tensor:
    """Tell which points are at least as near to a parent as to any of the anchor's class, (B, K).

    Args:
        side: the batch.
        points: (K, D) or (B, K, D).
        table: (M, D), the parents.
        parents: (K, 2) or (B, K, 2) int64, rows of the table.
        margin: cosine by which a parent must be nearer.
    """
    nearest_parent = (points @ table.T).gather(-1, parents).amax(dim=-1)
    intruder = _nearest_of_class(points @ side.candidates.T, side.same_class)
    return intruder <= nearest_parent - margin


def class_probability(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability of each anchor's class, and whether it is the likeliest, (B, K) each.

    Args:
        logits: (K, C) or (B, K, C).
        labels: (B,) int64.
    """
    if logits.dim() == 2:
        share = logits.softmax(dim=-1).T[labels]
        return share, logits.argmax(dim=-1)[None, :] == labels[:, None]
    wanted = labels[:, None, None].expand(-1, logits.shape[1], 1)
    share = logits.softmax(dim=-1).gather(-1, wanted)[..., 0]
    return share, logits.argmax(dim=-1) == labels[:, None]


def _per_anchor(identity: Tensor, parents: Tensor) -> Tensor:
    return identity[:, None, None].expand(-1, *parents.shape[-2:])


def _nearest_of_class(similarity: Tensor, same_class: Tensor) -> Tensor:
    """Return how near each point comes to the class of each anchor, (B, K).

    Args:
        similarity: (K, B) or (B, K, B) of points and batch.
        same_class: (B, B) bool.
    """
    if similarity.dim() == 3:
        return similarity.masked_fill(~same_class[:, None, :], -torch.inf).amax(dim=-1)
    classes = first_of_class(same_class)
    best = torch.full_like(similarity, -torch.inf)
    best = best.scatter_reduce(1, classes.expand_as(similarity), similarity, "amax")
    return best[:, classes].T
