"""The settings of collected runs as columns."""

from __future__ import annotations

import pandas as pd

from distillery.reporting.results.settings import with_settings

RUNS = pd.DataFrame({"method": ["ce", "soft"], "run": ["students/a", "students/b"]})
SETTINGS = {
    "students/a": {"method": "ce", "training": {"lr": 0.1, "milestones": [2, 3]}},
    "students/b": {"method": "kd", "options": {"temperature": 4.0}, "weights": {"kd": 1}},
}


def test_each_setting_is_a_column() -> None:
    found = with_settings(RUNS, SETTINGS)
    assert list(found.columns) == [
        "method",
        "run",
        "settings.method",
        "training.lr",
        "training.milestones",
        "options.temperature",
        "weights.kd",
    ]
    assert found["settings.method"].tolist() == ["ce", "kd"]
    assert found["training.lr"].isna().tolist() == [False, True]
    assert found.loc[0, "training.milestones"] == "[2, 3]"
    assert found.loc[1, "options.temperature"] == 4.0


def test_runs_without_settings_stay_as_they_are() -> None:
    assert with_settings(RUNS, {}).equals(RUNS)
