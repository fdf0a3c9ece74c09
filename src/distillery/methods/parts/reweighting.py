"""InfoNCE whose candidates count more or less than one, in log space.

A candidate with the logarithm c of its count enters the sum as ``exp(score + c)``; -inf leaves it
out. The weights by hardness and the correction for unlabelled negatives are those of Robinson et
al. 2021 (arXiv:2010.04592).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel


class ReweightingOptions(FrozenModel):
    """Weights of the negatives by their hardness (Robinson et al. 2021)."""

    beta: float = Field(default=0.0, ge=0)
    """Negatives are weighted by `exp(beta * score)` over its mean, scores being cosines divided by
    the temperature; 0 for equal weights."""
    tau_plus: float = Field(default=0.0, ge=0, lt=1)
    """Share of same-class images among unlabelled negatives that is corrected for."""


def weighted_info_nce(
    scores: Tensor, log_counts: Tensor, own: Tensor, positives: Tensor | None = None
) -> Tensor:
    """Contrast anchors with candidates that count differently.

    Args:
        scores: (B, M) cosines divided by the temperature.
        log_counts: (B, M), logarithms of the counts in the denominator; that of the own one is 0.
        own: (B,) int64, column of each anchor's own candidate.
        positives: (B, M) counts of the candidates as positives; the own one alone if not given.

    Returns:
        Scalar, mean over the anchors of the mean over their positives (SupCon's outer sum, Khosla
        et al. 2020); 0 for an anchor without negatives and further positives.
    """
    logits = scores + log_counts
    if positives is None:
        return F.cross_entropy(logits, own)
    shares = positives / positives.sum(dim=1, keepdim=True)
    return (logits.logsumexp(dim=1) - (shares * scores).sum(dim=1)).mean()


def log_hardness_weights(scores: Tensor, log_counts: Tensor, beta: float) -> Tensor:
    """Return the logarithms of ``exp(beta * score)`` divided by its mean over the negatives.

    Args:
        scores: (B, M).
        log_counts: (B, M) of the negatives, -inf for everything else.
        beta: 0 for equal weights.

    Returns:
        (B, M), with gradient as in the reference implementation; 0 where nothing counts.
    """
    is_negative = log_counts > -torch.inf
    log_counts = _never_empty(log_counts)
    hardness = beta * scores
    mean = (hardness + log_counts).logsumexp(1, True) - log_counts.logsumexp(1, True)
    return (hardness - mean).masked_fill(~is_negative, 0)


def corrected_info_nce(
    scores: Tensor,
    log_counts: Tensor,
    log_weights: Tensor,
    own: Tensor,
    tau_plus: float,
    floor: float,
) -> Tensor:
    """Contrast unlabelled candidates, some of which are of the anchor's class.

    The sum over the negatives becomes ``(sum - tau_plus * N * exp(own score)) / (1 - tau_plus)``,
    and at least ``N * exp(floor)``, with N the count of the negatives.

    Args:
        scores: (B, M).
        log_counts: (B, M) of the negatives, -inf for everything else.
        log_weights: (B, M), added to the counts in the sum, but not in N.
        own: (B,) int64, column of each anchor's own candidate.
        tau_plus: probability that a negative is of the anchor's class, above 0.
        floor: the lowest possible score.

    Returns:
        Scalar, mean over the anchors; 0 for an anchor without negatives.
    """
    has_negatives = (log_counts > -torch.inf).any(dim=1)
    log_counts = _never_empty(log_counts)
    total = (scores + log_weights + log_counts).logsumexp(dim=1)
    number = log_counts.logsumexp(dim=1)
    positive = scores.gather(1, own[:, None])[:, 0]
    surplus = total - (math.log(tau_plus) + number + positive)
    is_left = surplus > torch.finfo(scores.dtype).eps
    # Safe also in the branch that is not taken, whose gradient would be NaN otherwise.
    left = (-torch.expm1(-surplus.where(is_left, 1))).log() + total - math.log1p(-tau_plus)
    least = number + floor
    log_sum = torch.maximum(left.where(is_left, least), least)
    return F.softplus(log_sum - positive).where(has_negatives, 0).mean()


def _never_empty(log_counts: Tensor) -> Tensor:
    """Let everything count in rows where nothing does: their results are not used, but finite."""
    is_empty = (log_counts == -torch.inf).all(dim=1, keepdim=True)
    return log_counts.masked_fill(is_empty, 0)
