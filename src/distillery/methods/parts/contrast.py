"""In-batch contrast of two sets of unit vectors: the base of the bank-free contrastive methods."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def negatives_mask(labels: Tensor, same_class: bool) -> Tensor:
    """Return which batch members are negatives of which anchor.

    Args:
        labels: (B,) int64.
        same_class: whether other samples of the anchor's class count as negatives.

    Returns:
        (B, B) bool; the diagonal is False.
    """
    if same_class:
        return ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return labels[:, None] != labels[None, :]


def info_nce(anchors: Tensor, candidates: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Contrast each anchor with its own candidate against its negatives (InfoNCE, in log space).

    Args:
        anchors: (B, D) unit vectors.
        candidates: (B, D) unit vectors; row i is the positive of anchor i.
        negatives: (B, B) bool, True where candidate j is a negative of anchor i.
        temperature: divides the cosine similarities.

    Returns:
        Scalar, mean over the anchors; 0 for an anchor without negatives.
    """
    scores = anchors @ candidates.T / temperature
    allowed = negatives | torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    own = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores.masked_fill(~allowed, -torch.inf), own)
