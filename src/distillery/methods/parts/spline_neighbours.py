"""The points before and after a pair, from which splines through four points take tangents."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from distillery.methods.parts.class_means import class_means
from distillery.methods.parts.pair_policies import Side

Neighbours = Literal["nearest", "same-class", "centroid"]


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
