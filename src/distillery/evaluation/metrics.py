"""Metrics that several protocols have."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import softmax


def percent_equal(predicted: np.ndarray, expected: np.ndarray) -> float:
    """Return the percentage of equal entries: accuracy, or agreement of two networks.

    Args:
        predicted: (N,) integers.
        expected: (N,) integers.
    """
    return percent(predicted == expected)


def percent(hits: np.ndarray) -> float:
    """Return the percentage of what is true in (N,)."""
    return 100 * float(hits.mean())


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """Return the expected calibration error in percent (Guo et al. 2017, arXiv:1706.04599).

    Args:
        logits: (N, C).
        labels: (N,) integers.
        bins: number of bins of equal width of the confidence.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.digitize(confidence, inner_edges, right=True)
    gap = (predicted == labels) - confidence
    return 100 * float(np.abs(np.bincount(bin_of, gap, minlength=bins)).sum() / len(gap))


def defined(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that have a value: an undefined one is left out, never written as NaN."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
