"""InfoNCE: how the methods that contrast anchors with candidates do it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(
    scores: Tensor,
    logits: Tensor | None = None,
    positives: Tensor | None = None,
    *,
    apart: bool = False,
) -> Tensor:
    """Contrast anchors with their candidates, in log space.

    With the weights w of the positives the loss is the mean over the anchors of ::

        sum over p of w[i, p] * (ln(sum over j of exp(logits[i, j])) - scores[i, p])

    divided by the sum of the weights: InfoNCE (van den Oord et al. 2018, arXiv:1807.03748) with one
    positive, SupCon's outer sum (Khosla et al. 2020, arXiv:2004.11362) with several.

    Args:
        scores: (B, M) similarities divided by the temperature.
        logits: (B, M), what is summed in the denominators: scores plus the logarithm of how many
            candidates each counts for, -inf for none; the scores if not given.
        positives: (B, M) weights, or bool; candidate i of anchor i alone if not given.
        apart: whether each positive has a denominator of its own, itself and the ``logits``, which
            then should leave all positives out; otherwise an anchor's positives share one.

    Returns:
        Scalar; 0 for an anchor that is contrasted with nothing but its one positive.
    """
    logits = scores if logits is None else logits
    if positives is None:
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
    totals = logits.logsumexp(dim=1, keepdim=True)
    if apart:
        totals = torch.logaddexp(scores, totals)
    losses = ((totals - scores) * positives).sum(dim=1)
    return (losses / positives.sum(dim=1)).mean()
