"""The trials of a tuning as a report reads them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from made_up_results import make_study
from made_up_trials import tuned
from published import read

from distillery.reporting.results.trials import selections, trials


def test_each_trial_has_its_mean_over_seeds_and_failed_ones_have_none(tmp_path: Path) -> None:
    tried = trials(tuned(read(make_study(), tmp_path)), "tuning").set_index(["method", "trial"])
    assert tried["mean"].round(9).to_dict() == pytest.approx(
        {
            ("ce", 0): 51,
            ("ce", 1): 41,
            ("kd", 0): 60,
            ("kd", 1): 70,
            ("kd", 2): math.nan,
            ("kd", 3): 66,
        },
        nan_ok=True,
    )
    assert tried["std"]["ce", 0] == pytest.approx(math.sqrt(2))
    assert tried["failure"][["kd"]].tolist() == ["", "", "the loss is not finite", ""]
    assert [len(keys.split()) for keys in tried["runs"]] == [2] * 6


def test_selections_are_compared_with_the_entry_itself_and_with_the_second_best(
    tmp_path: Path,
) -> None:
    found = selections(trials(tuned(read(make_study(), tmp_path)), "tuning"))
    assert found["method"].tolist() == ["ce", "kd"]
    assert found["trial"].tolist() == [0, 1]
    assert found["over_default"].tolist() == [0, 10]
    assert found["over_second"].tolist() == [10, 4]
    assert found["trials"].tolist() == [2, 4]
    assert found["failed"].tolist() == [0, 1]


def test_without_a_tuning_there_is_nothing(tmp_path: Path) -> None:
    tried = trials(read(make_study(), tmp_path), "tuning")
    assert tried.empty
    assert selections(tried).empty
