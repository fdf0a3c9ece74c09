"""How far apart samples are: squared distances of points, divergence of softened scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def squared_distances(points: Tensor) -> Tensor:
    """Return ``||p_i - p_j||^2`` for all pairs; the diagonal is exactly 0.

    The Gram matrix is taken of centred points and in double precision, so that neither a common
    offset nor TF32 arithmetic swamps small distances. No (B, B, D) array is made.

    Args:
        points: (B, D).

    Returns:
        (B, B) in the precision of ``points``; may be negative by rounding.
    """
    centred = points - points.mean(dim=0)
    # Apple's MPS has no double precision.
    exact = centred if points.device.type == "mps" else centred.double()
    gram = exact @ exact.T
    squares = gram.diagonal()
    return (squares[:, None] + squares[None, :] - 2 * gram).to(points.dtype)


def row_divergence(student: Tensor, teacher: Tensor, temperature: float | Tensor) -> Tensor:
    """Return ``T^2 KL(softmax(teacher / T) || softmax(student / T))`` of rows (N, C), (N,).

    The temperature may be a learned scalar ().
    """
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="none",
        log_target=True,
    )
    return divergence.sum(dim=1) * temperature**2


def other_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logits (B, C - 1) of all classes but the true one.

    Args:
        logits: (B, C).
        labels: (B,) int64.
    """
    classes = torch.arange(logits.shape[1] - 1, device=labels.device)
    return logits.gather(1, classes + (classes >= labels[:, None]))
