"""Noise-contrastive estimation of anchors against the rows of a memory bank.

Scores are made block by block and leave behind their share of the loss and of its gradient, so that
no array of all anchors and all negatives is ever held.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Keeps the logarithms of the NCE terms finite, as in CRD's reference implementation.
_EPSILON = 1e-7


class Block(NamedTuple):
    """Rows of a bank that are negatives of some of a batch's anchors."""

    rows: Tensor
    """(R,) int64, rows of the bank."""
    anchors: Tensor
    """(S,) int64, which anchors of the batch."""
    counts: Tensor
    """(S, R) floats, how often each row is a negative of each anchor."""


class Scores(NamedTuple):
    """Scores of the anchors with a bank, before their exponential: cosine / temperature."""

    positive: Tensor
    """(B,)."""
    anchors: Tensor
    """(B, D), divided by the temperature: their products with the bank's rows are scores."""
    bank: Tensor
    """(n, D)."""


def scores_of(anchors: Tensor, bank: Tensor, positives: Tensor, temperature: float) -> Scores:
    """Return the scores of anchors (B, D), whose positives (B,) are rows of the bank (n, D)."""
    scaled = anchors / temperature
    return Scores((scaled * bank[positives]).sum(dim=1), scaled, bank)


def nce_loss(scores: Scores, blocks: Sequence[Block], negatives: int, normaliser: Tensor) -> Tensor:
    """Return the NCE loss of CRD against uniform noise, mean over the batch.

    With P = exp(score) / Z and m = K / n it is, summed over the positive and the K negatives, ::

        -ln(P / (P + m + e)) - sum of ln(m / (P + m + e))

    which is ``softplus(-u)`` of the positive and ``softplus(u)`` of each negative but for a
    constant, with ``u = score - ln(Z (m + e))``.

    Args:
        scores: of the B anchors.
        blocks: where the negatives are; together they have K of each anchor.
        negatives: K.
        normaliser: Z, scalar ().

    Returns:
        Scalar.
    """
    noise = negatives / len(scores.bank)
    shift = (normaliser * (noise + _EPSILON)).log()
    total = F.softplus(shift - scores.positive).sum()
    total = total + _Negatives.apply(scores.anchors, scores.bank, blocks, shift)
    loss: Tensor = total / len(scores.positive)
    return loss + negatives * math.log1p(_EPSILON / noise)


@torch.no_grad()
def mean_exponential(scores: Scores, blocks: Sequence[Block], negatives: int) -> Tensor:
    """Return the mean of exp(score) over all positives and their K ``negatives``, a scalar ()."""
    total = scores.positive.exp().sum()
    for rows, anchors, counts in blocks:
        found = scores.anchors[anchors] @ scores.bank.index_select(0, rows).T
        total += found.exp_().mul_(counts).sum()
    mean: Tensor = total / (len(scores.positive) * (1 + negatives))
    return mean


class _Negatives(torch.autograd.Function):
    """Sum of ``softplus(score - shift)`` over all negatives; the gradient is made on the way."""

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, bank: Tensor, blocks: Sequence[Block], shift: Tensor
    ) -> Tensor:
        total, gradient = anchors.new_zeros(()), torch.zeros_like(anchors)
        for rows, chosen, counts in blocks:
            points = bank.index_select(0, rows)
            scores = (anchors[chosen] @ points.T).sub_(shift)
            total += F.softplus(scores).mul_(counts).sum()
            gradient.index_add_(0, chosen, scores.sigmoid_().mul_(counts) @ points)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return above[0] * gradient, None, None, None
