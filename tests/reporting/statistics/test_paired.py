"""Paired comparisons against numbers of R and of hand calculation."""

import math

import pandas as pd
import pytest

from distillery.reporting.statistics.paired import compare, half_width, hedges_g, holm

# Student's sleep data, as R has them.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_the_paired_test_is_that_of_r() -> None:
    # t.test(extra ~ group, data = sleep, paired = TRUE)
    found = compare(FIRST, SECOND)
    assert (found.n, found.ahead) == (10, 0)
    assert found.difference == pytest.approx(-1.58)
    assert (found.low, found.high) == pytest.approx((-2.4598858, -0.7001142), abs=1e-6)
    assert found.p == pytest.approx(0.002833, abs=1e-6)


def test_the_effect_is_cohens_d_of_the_differences_with_hedges_correction() -> None:
    # t / sqrt(n) = 4.0621 / sqrt(10), times J(9) = Gamma(4.5) / (sqrt(4.5) Gamma(4)) = 0.91387
    assert compare(SECOND, FIRST).effect == pytest.approx(
        4.0621 / math.sqrt(10) * 0.91387, abs=1e-4
    )
    # Mean 2, deviation 1, and J(2) = Gamma(1) / (1 Gamma(1/2)) = 1 / sqrt(pi).
    assert hedges_g([1, 2, 3]) == pytest.approx(2 / math.sqrt(math.pi))


def test_two_values_are_not_tested() -> None:
    found = compare([3.0, 5.0], [1.0, 1.0])
    assert (found.n, found.difference, found.ahead) == (2, 3.0, 2)
    assert all(math.isnan(value) for value in (found.low, found.high, found.p, found.effect))
    assert math.isnan(compare([], []).difference)


def test_differences_that_never_vary_are_not_tested() -> None:
    found = compare([90.1, 91.2, 92.3], [90.0, 91.1, 92.2])
    assert found.difference == pytest.approx(0.1)
    assert math.isnan(found.p)
    assert math.isnan(found.effect)


def test_holm_is_that_of_r() -> None:
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_what_was_not_tested_does_not_count_in_holm() -> None:
    found = holm([0.01, math.nan, 0.04])
    assert found[::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[1])
    assert holm([]) == []


def test_intervals_of_means_have_the_quantiles_of_t() -> None:
    # t(0.975, 2) = 4.302653, t(0.975, 9) = 2.262157
    found = half_width(pd.Series([1.0, 2.0, 1.0]), pd.Series([3, 10, 2])).tolist()
    assert found[:2] == pytest.approx([4.302653 / math.sqrt(3), 2 * 2.262157 / math.sqrt(10)])
    assert math.isnan(found[2])
