"""Which layers of the teacher are distilled in a step: the k best by their scores."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Reduce = Literal["max", "mean", "logsumexp"]
Scope = Literal["sample", "batch"]


def layer_count(k: int | float | Literal["all"], layers: int) -> int:
    """Return how many of the layers ``k`` means: a number, a share (rounded up), or all."""
    if k == "all":
        return layers
    # A share such as 0.1 of 30 is a trifle more than 3 in binary.
    return k if isinstance(k, int) else math.ceil(k * layers - 1e-9)


def annealed_count(count: int, layers: int, progress: float) -> int:
    """Return how many layers are kept when ``progress`` of the annealing, 0 to 1, is done.

    All of them at the beginning, ``count`` at the end, linearly in between and rounded up.
    """
    return count + math.ceil((layers - count) * (1 - progress) - 1e-9)


def select_layers(scores: Tensor, count: int, reduce: Reduce, scope: Scope) -> Tensor:
    """Tell which teacher layers have the ``count`` highest scores.

    Args:
        scores: (B, T, S), of each teacher layer for each student layer.
        count: number of layers to keep.
        reduce: how the scores of a layer become one.
        scope: whether each sample has layers of its own, or all share those of the highest mean.

    Returns:
        (B, T) bool with ``count`` true values a row.
    """
    relevance = _reduced(scores.detach(), reduce)
    if scope == "batch":
        relevance = relevance.mean(dim=0, keepdim=True).expand_as(relevance)
    best = relevance.topk(count, dim=1).indices
    return torch.zeros_like(relevance, dtype=torch.bool).scatter(1, best, True)


def _reduced(scores: Tensor, reduce: Reduce) -> Tensor:
    if reduce == "max":
        return scores.amax(dim=2)
    return scores.mean(dim=2) if reduce == "mean" else scores.logsumexp(dim=2)
