"""What is measured of a contrast beside its loss: alignment, uniformity, hardness of negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from distillery.methods.parts.squared_distances import squared_distances
from distillery.methods.parts.synthetic_log import BINS


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean squared distance of corresponding unit vectors (Wang and Isola 2020).

    Args:
        first: (B, D).
        second: (B, D).
    """
    return (first - second).square().sum(dim=1).mean()


def uniformity(points: Tensor) -> Tensor:
    """Return ``log mean exp(-2 |p_i - p_j|^2)`` over pairs i < j (Wang and Isola 2020).

    Args:
        points: (B, D) unit vectors, B at least 2.
    """
    first, second = torch.triu_indices(len(points), len(points), 1, device=points.device).unbind()
    distances = squared_distances(points)[first, second].clamp_min(0)
    return (-2 * distances).exp().mean().log()


def hardness_histogram(cosines: Tensor, counted: Tensor) -> Tensor:
    """Return the shares of cosines in bins of equal width from -1 to 1, (BINS,).

    Args:
        cosines: any shape; those beyond -1 and 1 fall into the outer bins.
        counted: bool of the same shape; at least one should count.
    """
    places = ((cosines + 1) * (BINS / 2)).long().clamp(0, BINS - 1)
    counts = torch.zeros(BINS, dtype=cosines.dtype, device=cosines.device)
    counts.scatter_add_(0, places.flatten(), counted.to(cosines).flatten())
    return counts / counts.sum()


def masked_mean(values: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of the values that count, of which there should be at least one."""
    return (values * counted).sum() / counted.sum()
