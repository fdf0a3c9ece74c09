"""Entropy of attention: over how many layers it is spread."""

from __future__ import annotations

import torch
from torch import Tensor


def entropy(shares: Tensor, dim: int) -> Tensor:
    """Return ``-sum p ln p`` along an axis, in nats: 0 for a certainty, ln n for n equal shares.

    Args:
        shares: probabilities, which add up to 1 along ``dim``; some may be 0.
        dim: the axis, which disappears.
    """
    return torch.special.entr(shares.detach()).sum(dim)
