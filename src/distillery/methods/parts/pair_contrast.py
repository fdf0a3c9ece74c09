"""Contrast of all pairs of a batch, with instances or classes as positives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pair_scores(anchors: Tensor, candidates: Tensor, *, distance: bool, normalise: bool) -> Tensor:
    """Return the similarity of each anchor and each candidate, (B, D) both, as (B, B).

    Args:
        anchors: one row a sample.
        candidates: likewise.
        distance: minus the squared Euclidean distance instead of the inner product.
        normalise: whether rows are divided by their Euclidean lengths first.
    """
    if normalise:
        anchors, candidates = F.normalize(anchors, dim=1), F.normalize(candidates, dim=1)
    products = anchors @ candidates.T
    if not distance:
        return products
    lengths = anchors.square().sum(1)[:, None] + candidates.square().sum(1)
    return 2 * products - lengths


def pair_contrast(
    scores: Tensor, labels: Tensor, *, by_class: bool, exclude_same_class: bool
) -> Tensor:
    """Return the mean over anchors and their positives of ``-ln softmax`` (InfoNCE, SupCon).

    Args:
        scores: (B, B), of anchor i and candidate j, already divided by the temperature.
        labels: (B,) int64.
        by_class: whether all candidates of the anchor's class are positives, or its own alone.
        exclude_same_class: whether the softmax of a positive pair is over itself and the candidates
            of other classes, instead of all.

    Returns:
        Scalar: the mean over the anchors of the mean over their positives.
    """
    same_class = labels[:, None] == labels
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positives = same_class if by_class else own
    if exclude_same_class:
        others = scores.masked_fill(same_class, -torch.inf).logsumexp(dim=1, keepdim=True)
        totals = torch.logaddexp(scores, others)
    else:
        totals = scores.logsumexp(dim=1, keepdim=True)
    losses = (totals - scores).masked_fill(~positives, 0).sum(dim=1)
    return (losses / positives.sum(dim=1)).mean()
