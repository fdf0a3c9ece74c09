import numpy as np
import pandas as pd
import pytest

from distillery.reporting.statistics import seeds

RUNS = pd.DataFrame(
    {
        "pair": ["a", "a", "a", "b", "b"],
        "key": ["k1", "k2", "k3", "k4", "k5"],
        "value": [1.0, 2.0, 6.0, 5.0, np.nan],
    }
)


def test_over_seeds_is_mean_and_sample_deviation() -> None:
    found = seeds.over_seeds(RUNS, ["pair"], "value").set_index("pair")
    assert found.loc["a", "n"] == 3
    assert found.loc["a", "mean"] == 3.0
    assert found.loc["a", "std"] == pytest.approx(np.std([1, 2, 6], ddof=1))


def test_missing_values_do_not_count_and_one_value_has_no_deviation() -> None:
    found = seeds.over_runs(RUNS, ["pair"], "value").set_index("pair")
    assert found.loc["b", "n"] == 1
    assert np.isnan(found.loc["b", "std"])
    assert found.loc["b", "runs"] == "k4"
    assert found.loc["a", "runs"] == "k1 k2 k3"


def test_groups_without_a_value_are_absent() -> None:
    assert seeds.over_runs(RUNS.iloc[4:], ["pair"], "value").empty


def test_gain_is_measured_within_the_pair() -> None:
    summary = seeds.over_seeds(RUNS, ["pair"], "value")
    assert seeds.gain(summary, pd.Series({"a": 1.0})).tolist()[0] == 2.0
    assert np.isnan(seeds.gain(summary, pd.Series({"a": 1.0})).tolist()[1])
