"""Paired comparisons: t tests and intervals of differences, Holm's correction, effect sizes.

Methods are compared seed by seed: the students of one seed share their initial weights and the
order of their images, so that the differences vary less than the accuracies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

LEVEL = 0.05
"""A difference is separable where its corrected p is below this level; intervals are of 95 %."""
FEWEST = 3
"""With fewer values nothing is tested, and there is no interval."""
# Differences that vary by less than this share of their size are equal but for rounding.
_EQUAL = 1e-9

Values = Sequence[float] | np.ndarray | pd.Series


class Paired(NamedTuple):
    """What is known of a mean paired difference; what cannot be told is NaN.

    Attributes:
        n: number of differences.
        difference: their mean.
        low, high: its 95 % interval.
        p: two-sided p of the paired t test, not corrected.
        effect: ``hedges_g``.
        ahead: how many of the differences are above 0.
    """

    n: int
    difference: float
    low: float
    high: float
    p: float
    effect: float
    ahead: int


def compare(better: Values, worse: Values) -> Paired:
    """Compare two series of equally many values, pair by pair.

    Differences that are all the same say nothing of the noise: they have no test and no interval.
    """
    from scipy import stats

    first, second = np.asarray(better, float), np.asarray(worse, float)
    differences = first - second
    n, ahead = len(differences), int((differences > 0).sum())
    mean = float(differences.mean()) if n else math.nan
    size = max(np.abs(first).max(initial=0), np.abs(second).max(initial=0))
    if n < FEWEST or np.ptp(differences) <= _EQUAL * size:
        return Paired(n, mean, math.nan, math.nan, math.nan, math.nan, ahead)
    test = stats.ttest_rel(first, second)
    low, high = test.confidence_interval(1 - LEVEL)
    return Paired(
        n, mean, float(low), float(high), float(test.pvalue), hedges_g(differences), ahead
    )


def hedges_g(differences: Values) -> float:
    """Return Hedges' g of paired differences: mean over deviation, corrected for few of them.

    This is Cohen's d of the differences (d_z) times the exact factor of Hedges 1981, J(n - 1).
    """
    from scipy.special import gammaln

    values = np.asarray(differences, float)
    freedom = len(values) - 1
    correction = math.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / math.sqrt(
        freedom / 2
    )
    return float(correction * values.mean() / values.std(ddof=1))


def holm(p: Values) -> list[float]:
    """Return p values corrected by Holm's method; one that is NaN is no test, and stays NaN."""
    from statsmodels.stats.multitest import multipletests

    found = np.array(p, float)
    known = ~np.isnan(found)
    if known.any():
        found[known] = multipletests(found[known], method="holm")[1]
    return [float(value) for value in found]


def half_width(std: pd.Series, n: pd.Series) -> pd.Series:
    """Return half the width of the 95 % interval (t) of means, NaN where there are few values.

    Args:
        std: deviations of the values, n - 1 in the denominator.
        n: how many values there are.
    """
    from scipy import stats

    enough = n.where(n >= FEWEST).astype(float)
    factors: pd.Series = stats.t.ppf(1 - LEVEL / 2, enough - 1) / np.sqrt(enough)
    return std * factors
