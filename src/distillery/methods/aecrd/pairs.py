"""Which two points of a batch synthetic ones are made between: rules that give pairs of rows.

Pairs are rows of a table of points: rows ``0 .. B - 1`` are the batch, and rows ``B .. 2B - 1``, in
policies with centroids, the centroid of the class of row ``r - B``. All shapes depend on the size
of the batch alone, never on its labels, so that nothing waits for the device; what does not exist
in a batch is marked invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from distillery.methods.aecrd.options import PairOptions, Policy

HARDEST = 8
"""How many hard negatives of each anchor ``hard-hard`` and ``anchor-negative`` take."""

_WITHOUT_DIRECTION: frozenset[Policy] = frozenset(
    {"same-class", "random", "hard-hard", "nearest-other-class", "centroid-pair"}
)


class Pairs(NamedTuple):
    """Rows of the table; (P,) where all anchors share the pairs, otherwise (B, P)."""

    first: Tensor
    """int64, where the curves start."""
    second: Tensor
    """int64, where they end."""
    class_row: Tensor
    """int64, the row that gives the points' other class beside that of ``second``: ``first``, but
    ``second`` where the anchor's own share is not to count."""
    valid: Tensor
    """bool."""


@dataclass(frozen=True)
class Side:
    """One direction of the contrast.

    Attributes:
        anchors: (B, D) unit vectors.
        candidates: (B, D) unit vectors of the other network; row i is the positive of anchor i.
        identity: (B,) int64 classes; every image has its own where labels are not used.
    """

    anchors: Tensor
    candidates: Tensor
    identity: Tensor

    @property
    def same_class(self) -> Tensor:
        """(B, B) bool, also on the diagonal."""
        return self.identity[:, None] == self.identity[None, :]


def choose_pairs(side: Side, options: PairOptions, generator: Generator, ordered: bool) -> Pairs:
    """Return the pairs of a batch by the policy in ``options``.

    Args:
        side: the batch.
        options: policy and numbers.
        generator: decides which pairs are left out when there are more than ``max_pairs``.
        ordered: whether curves from j to l and from l to j differ, so that both are wanted.
    """
    policy = options.policy
    if policy in ("hard-hard", "anchor-negative"):
        rows, valid = hardest_negatives(side, HARDEST)
        pairs = _between(rows, valid) if policy == "hard-hard" else _from_own(rows, valid)
    else:
        pairs = _shared(side, policy)
    if ordered and policy in _WITHOUT_DIRECTION:
        pairs = _both_ways(pairs)
    return at_most(pairs, options.max_pairs, generator)


def hardest_negatives(side: Side, count: int) -> tuple[Tensor, Tensor]:
    """Return the rows (B, N) of each anchor's most similar negatives, and which of them exist.

    Args:
        side: the batch.
        count: how many; N is at most the size of the batch.
    """
    similarity = (side.anchors @ side.candidates.T).masked_fill(side.same_class, -torch.inf)
    found = similarity.topk(min(count, len(similarity)), dim=1)
    return found.indices, found.values > -torch.inf


def at_most(pairs: Pairs, count: int, generator: Generator) -> Pairs:
    """Return ``count`` of the pairs, each valid one with the same chance, before any invalid one.

    Args:
        pairs: rows (..., P).
        count: the most to return.
        generator: on the device of the pairs.
    """
    valid = pairs.valid
    if valid.shape[-1] <= count:
        return pairs
    keys = torch.rand(valid.shape, generator=generator, device=valid.device)
    chosen = keys.masked_fill(~valid, -1).topk(count, dim=-1).indices
    return Pairs(*(rows.gather(-1, chosen) for rows in pairs))


def _shared(side: Side, policy: Policy) -> Pairs:
    """Return the pairs of the policies that do not look at the anchor."""
    batch = len(side.identity)
    rows = torch.arange(batch, device=side.identity.device)
    if policy == "single":
        return _pairs(rows, rows, torch.ones_like(rows, dtype=torch.bool))
    if policy == "centroid":
        return _pairs(rows, rows + batch, torch.ones_like(rows, dtype=torch.bool))
    if policy == "nearest-other-class":
        return _nearest_other_class(side, rows)
    first, second = torch.triu_indices(batch, batch, 1, device=rows.device).unbind()
    if policy == "centroid-pair":
        stands_for_class = first_of_class(side.same_class) == rows
        valid = stands_for_class[first] & stands_for_class[second]
        return _pairs(first + batch, second + batch, valid)
    if policy == "same-class":
        return _pairs(first, second, side.identity[first] == side.identity[second])
    return _pairs(first, second, torch.ones_like(first, dtype=torch.bool))


def _nearest_other_class(side: Side, rows: Tensor) -> Pairs:
    """Pair each point with its nearest of another class; those that choose each other only once."""
    similarity = side.candidates @ side.candidates.T
    nearest = similarity.masked_fill(side.same_class, -torch.inf).max(dim=1)
    is_repeated = (nearest.indices[nearest.indices] == rows) & (nearest.indices < rows)
    return _pairs(rows, nearest.indices, (nearest.values > -torch.inf) & ~is_repeated)


def _between(rows: Tensor, valid: Tensor) -> Pairs:
    """Return all pairs of the rows (B, N) of each anchor."""
    count = rows.shape[1]
    first, second = torch.triu_indices(count, count, 1, device=rows.device).unbind()
    return _pairs(rows[:, first], rows[:, second], valid[:, first] & valid[:, second])


def _from_own(rows: Tensor, valid: Tensor) -> Pairs:
    """Pair each anchor's own candidate with its rows (B, N), which alone give the class."""
    own = torch.arange(len(rows), device=rows.device)[:, None].expand_as(rows)
    return Pairs(own, rows, rows, valid)


def _pairs(first: Tensor, second: Tensor, valid: Tensor) -> Pairs:
    return Pairs(first, second, first, valid)


def _both_ways(pairs: Pairs) -> Pairs:
    """Return the pairs and their reverses."""
    first = torch.cat((pairs.first, pairs.second), dim=-1)
    second = torch.cat((pairs.second, pairs.first), dim=-1)
    return _pairs(first, second, torch.cat((pairs.valid, pairs.valid), dim=-1))


def first_of_class(same_class: Tensor) -> Tensor:
    """Return, for (B, B) bool, the lowest row of each row's class, (B,): a number for the class."""
    return same_class.int().argmax(dim=1)
