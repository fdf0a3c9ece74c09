"""Ranks of several methods over blocks: Friedman's test and Nemenyi's critical difference.

As Demšar 2006 compares classifiers (Statistical Comparisons of Classifiers over Multiple Data Sets,
JMLR 7). A block is what all methods are compared on alike; tables have a row for each block and a
column for each method.
"""

from __future__ import annotations

import math

import pandas as pd

from distillery.reporting.statistics.paired import LEVEL


def average_ranks(blocks: pd.DataFrame) -> pd.Series:
    """Return the mean rank of each method, the best first; 1 is the highest value of a block."""
    ranks = blocks.rank(axis="columns", ascending=False).mean()
    return ranks.sort_values(kind="stable")


def friedman(blocks: pd.DataFrame) -> float:
    """Return the p of Friedman's test (chi-squared, corrected for ties) of three methods or more.

    It is NaN for fewer methods, and where all are alike in each block.
    """
    from scipy import stats

    if blocks.shape[1] < 3 or (blocks.nunique(axis="columns") == 1).all():
        return math.nan
    return float(stats.friedmanchisquare(*(blocks[method] for method in blocks)).pvalue)


def critical_difference(methods: int, blocks: int) -> float:
    """Return by how much mean ranks must differ to be separable (Nemenyi's test at ``LEVEL``)."""
    from scipy import stats

    quantile = stats.studentized_range.ppf(1 - LEVEL, methods, math.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(methods * (methods + 1) / (6 * blocks)))
