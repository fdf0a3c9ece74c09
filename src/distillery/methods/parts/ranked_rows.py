"""Which rows of a teacher's scores to trust: those that it gets right, and the least wrong others.

The selection of SSKD (Xu et al., ECCV 2020), made without data-dependent shapes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def trusted(scores: Tensor, labels: Tensor, fraction: float) -> Tensor:
    """Return which rows to keep: all that are right, and a fraction of those that are wrong.

    The rank of a row is the number of scores above that of its label; a row of rank 0 is right. Of
    the W wrong ones, the int(fraction * W) with the smallest ranks are kept, earlier rows first.

    Args:
        scores: (N, C), the teacher's.
        labels: (N,) int64.
        fraction: share of the wrong rows, 0 to 1.

    Returns:
        (N,) bool.
    """
    ranks = (scores > scores.gather(1, labels[:, None])).sum(dim=1)
    wrong = (ranks > 0).sum()
    # In double precision, as Python rounds: 0.7 * 30 is just below 21 in single precision.
    kept = len(ranks) - wrong + (fraction * wrong.double()).floor().long()
    place = torch.empty_like(ranks)
    place[ranks.argsort(stable=True)] = torch.arange(len(ranks), device=ranks.device)
    return place < kept


def mean_of_kept(values: Tensor, keep: Tensor) -> Tensor:
    """Return the mean of the kept entries of (N,) values; 0 if none is kept."""
    return torch.where(keep, values, 0.0).sum() / keep.sum().clamp_min(1)
