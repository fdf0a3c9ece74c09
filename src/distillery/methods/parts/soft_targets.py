"""The divergence of softened scores, row by row."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def row_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return ``T^2 KL(softmax(teacher / T) || softmax(student / T))`` of rows (N, C), (N,)."""
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="none",
        log_target=True,
    )
    return divergence.sum(dim=1) * temperature**2
