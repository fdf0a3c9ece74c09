"""Centres of the classes of a batch, one for each of its samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distillery.geometry.sphere import unit


def class_means(points: Tensor, same_class: Tensor) -> Tensor:
    """Return the mean of the points of each sample's class, not of length one.

    Args:
        points: (B, D).
        same_class: (B, B) bool, True on the diagonal.

    Returns:
        (B, D).
    """
    members = same_class.to(points)
    return members @ points / members.sum(dim=1, keepdim=True)


class RunningCentroids(nn.Module):
    """Unit centroids of all classes that follow those of the batches.

    They have no gradient. ``momentum`` is the share of the old centroid when a batch moves it; a
    class that was never met has the centroid of its first batch.

    Attributes:
        centroids: (C, D) unit vectors.
        met: (C,) bool, whether a batch had the class.
    """

    centroids: Tensor
    met: Tensor

    def __init__(self, classes: int, dim: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("centroids", torch.zeros(classes, dim))
        self.register_buffer("met", torch.zeros(classes, dtype=torch.bool))
        self._seen: tuple[Tensor, Tensor] | None = None

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """Return the centroid of each sample's class, the batch taken in.

        Args:
            points: (B, D) unit vectors.
            labels: (B,) int64.

        Returns:
            (B, D) unit vectors.
        """
        fresh = unit(class_means(points, labels[:, None] == labels[None, :]))
        old = self.centroids[labels].to(fresh)
        moved = unit(self.momentum * old + (1 - self.momentum) * fresh)
        found = torch.where(self.met[labels][:, None], moved, fresh)
        self._seen = labels, found.detach()
        return found

    @torch.no_grad()
    def keep(self) -> None:
        """Take over what the last batch moved."""
        if self._seen is not None:
            labels, found = self._seen
            self.centroids[labels] = found.to(self.centroids)
            self.met[labels] = True
            self._seen = None
