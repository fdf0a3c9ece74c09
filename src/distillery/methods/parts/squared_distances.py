"""Squared Euclidean distances between the samples of a batch, from their Gram matrix."""

from __future__ import annotations

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
