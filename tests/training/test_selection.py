"""Selecting a trial, and the students that become it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from project import Project

from distillery.planning.plan import Plan
from distillery.reporting.page import publish
from distillery.runs.artifact import Artifact
from distillery.runs.produce import Workspace, produce
from distillery.runs.run import Run
from distillery.training import selection
from distillery.training.selected import Tunable
from distillery.training.selection import best_of


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([[10.0], [30.0], [20.0]], 1),
        # The mean over seeds counts.
        ([[10.0, 30.0], [25.0, 24.0], [50.0, 0.0]], 2),
        # Of equal ones the first, also where sums differ in their last digits.
        ([[10.0], [30.0], [30.0]], 1),
        ([[20.0, 20.0], [10.0, 30.0]], 0),
        ([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]], 0),
        # What failed once has failed.
        ([[10.0, 20.0], [90.0, None]], 0),
        ([[None], [10.0]], 1),
        ([[None, None], [0.0, 0.0]], 1),
        ([[None], [None]], 0),
    ],
)
def test_the_best_mean_is_selected(accuracies: Any, expected: int) -> None:
    assert best_of(accuracies) == expected


def made(data: Path, trials: list[list[dict[str, Any]]]) -> Artifact:
    """Publish trials with these metrics, by trial and seed, and select one."""
    inputs = {}
    for number, of_trial in enumerate(trials):
        for seed, metrics in enumerate(of_trial):
            run = Run("trial", "students", "t", {"number": number, "seed": seed}, {}, "c")

            def write(work: Workspace, metrics: dict[str, Any] = metrics) -> None:
                work.write_json("metrics.json", metrics)

            produce(data, run, write)
            inputs[selection.input_name(number, seed)] = run.location
    settings = {
        "trials": [{"options.temperature": number + 1} for number in range(len(trials))],
        "seeds": list(range(len(trials[0]))),
    }
    run = Run("select", "students", "s", settings, inputs, "c")
    return Artifact(produce(data, run, selection.run))


def test_the_selection_lists_all_trials(tmp_path: Path) -> None:
    failed = {"diverged": "the loss term 'ce' is not finite in epoch 2"}
    found = made(
        tmp_path,
        [
            [{"validation_top1": 40.0}, {"validation_top1": 50.0}],
            [{"validation_top1": 60.0}, {"validation_top1": 44.0}],
            [{"validation_top1": 99.0}, failed],
        ],
    )
    assert found.json("selected.json") == {"trial": 1}
    details = pd.read_parquet(found.file("details.parquet"))
    assert list(details["trial"]) == [0, 0, 1, 1, 2, 2]
    assert list(details["seed"]) == [0, 1] * 3
    assert [json.loads(text) for text in details["settings"].unique()] == [
        {"options.temperature": 1},
        {"options.temperature": 2},
        {"options.temperature": 3},
    ]
    assert list(details["is_selected"]) == [False, False, True, True, False, False]
    assert list(details["accuracy"])[:5] == [40.0, 50.0, 60.0, 44.0, 99.0]
    assert details["accuracy"].isna().tolist() == [False] * 5 + [True]
    assert list(details["failure"])[4:] == ["", failed["diverged"]]
    assert details["key"].nunique() == 6


def test_a_study_goes_on_where_every_trial_failed(tmp_path: Path) -> None:
    failed = {"diverged": "weights are not finite in epoch 1"}
    found = made(tmp_path, [[failed], [failed]])
    assert found.json("selected.json") == {"trial": 0}
    assert pd.read_parquet(found.file("details.parquet"))["accuracy"].dtype == "float64"


CHANGES: dict[str, Any] = {
    "methods": {"kd": {}},
    "training": {"epochs": 2},
    "tuning": {
        "pair": "p",
        "methods": {
            # The first trial does not learn, so that another one is selected.
            "ce": {"vary": {"training": {"lr": [0.1]}, "weights": {"ce": [1, 2]}}},
            "kd": {"vary": {"options": {"temperature": [2, 8]}, "training": {"lr": [0.1]}}},
        },
    },
    "!protocols": {"classification": {}, "computation": {"options": {"warmup": 1, "repeats": 2}}},
}


@pytest.mark.slow
def test_students_become_what_was_selected(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the params file to the report, and the same numbers as if they had been copied."""
    methods = {"ce": {"training": {"lr": 1e-9}}, "kd": {"training": {"lr": 1e-9}}}
    planned = project.plan({**CHANGES, "methods": methods})
    project.make_all(planned)
    for select in planned.stage("select"):
        chosen = Artifact(project.data / select.location)
        trial = chosen.json("selected.json")["trial"]
        assert trial > 0
        (run,) = [
            run
            for run in planned.stage("train-student")
            if run.inputs["selected-by"] == select.location
        ]
        student = Artifact(project.data / run.location)
        expected = {**run.settings, **run.settings["candidates"][trial], "candidates": []}
        assert student.settings == expected
        assert student.settings["training"]["lr"] == 0.1
        assert Tunable.model_validate(student.settings)
        copied = copy_of(project, student.settings)
        assert copied.manifest["files"] == student.manifest["files"]
    report(project, planned, monkeypatch)


def copy_of(project: Project, settings: dict[str, Any]) -> Artifact:
    """Train with the same settings, written into a params file by hand."""
    entry = {name: settings[name] for name in ("options", "weights", "training")}
    # Their defaults depend on the others.
    entry["training"] = {**entry["training"], "milestones": None}
    method = settings["method"]
    if method == "ce":
        # It has no term of its own that could be weighted.
        entry["weights"] = {"ce": settings["weights"]["ce"]}
    changes = {"training": CHANGES["training"], "!methods": {method: entry}}
    planned = project.plan({**changes, "report": {"baseline": method}}, "copied")
    (run,) = planned.stage("train-student")
    assert "selected-by" not in run.inputs
    return project.make(planned, run)


def report(project: Project, planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    page = publish.publish(planned.report, planned.report_key, planned.collected, project.data)
    text = page.read_text()
    assert "Tuned with equal budgets: 3 trials for CE and KD." in text
    assert 'id="section-tuning"' in text
