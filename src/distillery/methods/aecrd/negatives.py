"""Which points are negatives of which anchor, and how much each counts.

Synthetic points are (K, D) where all anchors share them, otherwise (B, K, D); answers are always
(B, K). Hardness is the cosine to the anchor.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distillery.methods.aecrd.options import SelectionOptions
from distillery.methods.aecrd.pairs import Side, first_of_class


def similarities(anchors: Tensor, points: Tensor) -> Tensor:
    """Return the inner products of anchors (B, D) with their points, (B, K)."""
    return anchors @ points.T if points.dim() == 2 else (points @ anchors[:, :, None])[:, :, 0]


# Filters


def differs_from(parents: Tensor, identity: Tensor) -> Tensor:
    """Tell whose class none of the parents has, (B, K).

    Args:
        parents: (K, 2) or (B, K, 2) int64, classes of the parents.
        identity: (B,) int64, classes of the anchors.
    """
    return (parents != identity[:, None, None]).all(dim=-1)


def inherits(parents: Tensor, identity: Tensor) -> Tensor:
    """Tell whose class all parents have, (B, K); parents (K, 2) or (B, K, 2), identity (B,)."""
    return (parents == identity[:, None, None]).all(dim=-1)


def stays_clear(side: Side, points: Tensor, table: Tensor, parents: Tensor) -> Tensor:
    """Tell which points are at least as near to a parent as to any of the anchor's class, (B, K).

    Args:
        side: the batch.
        points: (K, D) or (B, K, D).
        table: (M, D), the parents.
        parents: (K, 2) or (B, K, 2) int64, rows of the table.
    """
    nearest_parent = (points @ table.T).gather(-1, parents).amax(dim=-1)
    return _nearest_of_class(points @ side.candidates.T, side.same_class) <= nearest_parent


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


# Selection


def select(cosines: Tensor, allowed: Tensor, options: SelectionOptions) -> Tensor:
    """Return which points are negatives, (B, B + K) bool.

    Args:
        cosines: (B, B + K) of the batch's points, then the synthetic ones, to the anchors.
        allowed: (B, B + K) bool.
        options: the rules.
    """
    batch = len(cosines)
    is_real = torch.arange(cosines.shape[1], device=cosines.device) < batch
    if options.skip_easy:
        median = _median(cosines[:, :batch], allowed[:, :batch])
        allowed = allowed & (is_real | (cosines >= median))
    if options.top_k != "all":
        allowed = allowed & (is_real | hardest(cosines, allowed, options.top_k))
    return hardest(cosines, allowed, 1) if options.hardest_only else allowed


def hardest(cosines: Tensor, allowed: Tensor, count: int) -> Tensor:
    """Return which points are among the ``count`` hardest of each anchor, (B, M) bool.

    Args:
        cosines: (B, M) to the anchors.
        allowed: (B, M) bool.
        count: how many of an anchor's allowed points.
    """
    ranked = cosines.masked_fill(~allowed, -torch.inf)
    chosen = ranked.topk(min(count, cosines.shape[1]), dim=1).indices
    return torch.zeros_like(allowed).scatter_(1, chosen, True) & allowed


def _median(values: Tensor, allowed: Tensor) -> Tensor:
    """Return the lower median of each row's allowed values, (B, 1); -inf where there is none."""
    return (
        values.masked_fill(~allowed, torch.nan)
        .nanmedian(dim=1, keepdim=True)
        .values.nan_to_num(nan=-torch.inf)
    )


# Weights


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
    # Rows without negatives have weights of no use, but finite.
    log_counts = log_counts.masked_fill(~is_negative.any(dim=1, keepdim=True), 0)
    hardness = beta * scores
    mean = (hardness + log_counts).logsumexp(1, True) - log_counts.logsumexp(1, True)
    return (hardness - mean).masked_fill(~is_negative, 0)
