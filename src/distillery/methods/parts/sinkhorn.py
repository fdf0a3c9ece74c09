"""Entropic optimal transport between two batches (Cuturi, NeurIPS 2013, arXiv:1306.0895)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


@torch.no_grad()
def transport_plan(cost: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Return the plan that moves one uniform distribution to another at the least cost.

    Sinkhorn's iterations on logarithms, which neither overflow nor vanish at a small ``epsilon``.
    No gradient flows through them: at convergence the derivative of the regularised optimum by the
    costs is the plan itself, so that ``(plan * cost).sum()`` has the right gradient.

    Args:
        cost: (N, M).
        epsilon: weight of the plan's entropy, in units of the cost.
        iterations: number of times that rows and columns are both scaled.

    Returns:
        (N, M), not negative; columns sum to 1 / M, and rows to 1 / N as far as it has converged.
    """
    rows, columns = cost.shape
    kernel = -cost / epsilon
    column_scale = torch.zeros_like(kernel[0])
    for _ in range(iterations):
        row_scale = -math.log(rows) - torch.logsumexp(kernel + column_scale, dim=1)
        column_scale = -math.log(columns) - torch.logsumexp(kernel + row_scale[:, None], dim=0)
    return torch.exp(kernel + row_scale[:, None] + column_scale)
