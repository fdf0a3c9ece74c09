"""Ranks against the tables and the worked example of Demšar 2006."""

import math

import pandas as pd
import pytest
from scipy.stats import chi2

from distillery.reporting.statistics.ranks import average_ranks, critical_difference, friedman

# His table 6: AUC of four versions of C4.5 on 14 data sets. He ranked with more digits than he
# prints: the 13th row has the last two in this order.
AUC = pd.DataFrame(
    [
        (0.763, 0.768, 0.771, 0.798),
        (0.599, 0.591, 0.590, 0.569),
        (0.954, 0.971, 0.968, 0.967),
        (0.628, 0.661, 0.654, 0.657),
        (0.882, 0.888, 0.886, 0.898),
        (0.936, 0.931, 0.916, 0.931),
        (0.661, 0.668, 0.609, 0.685),
        (0.583, 0.583, 0.563, 0.625),
        (0.775, 0.838, 0.866, 0.875),
        (1.000, 1.000, 1.000, 1.000),
        (0.940, 0.962, 0.965, 0.962),
        (0.619, 0.666, 0.614, 0.669),
        (0.972, 0.981, 0.9751, 0.975),
        (0.957, 0.978, 0.946, 0.970),
    ],
    columns=["C4.5", "m", "cf", "m+cf"],
)


def test_average_ranks_are_those_of_the_example() -> None:
    found = average_ranks(AUC)
    assert found.round(3).to_dict() == {"m+cf": 1.964, "m": 2.0, "cf": 2.893, "C4.5": 3.143}
    assert list(found.index) == ["m+cf", "m", "cf", "C4.5"]


def test_friedman_is_that_of_the_example_corrected_for_ties() -> None:
    # He finds 9.28 without the correction. Three ties of two and one of four make
    # 1 - (3 * 6 + 60) / (14 * 4 * (16 - 1)).
    corrected = 9.28 / (1 - 78 / 840)
    assert friedman(AUC) == pytest.approx(chi2.sf(corrected, 3), rel=0.01)


def test_friedman_needs_three_methods_that_differ() -> None:
    assert math.isnan(friedman(AUC[["m", "cf"]]))
    assert math.isnan(friedman(AUC.iloc[[9, 9, 9]]))


@pytest.mark.parametrize(
    ("methods", "quantile"),
    # His table 5 (a), Nemenyi's test at 0.05.
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)],
)
def test_critical_differences_have_the_published_quantiles(methods: int, quantile: float) -> None:
    scale = math.sqrt(methods * (methods + 1) / (6 * 20))
    assert critical_difference(methods, 20) / scale == pytest.approx(quantile, abs=1e-3)


def test_the_critical_difference_of_the_example() -> None:
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
