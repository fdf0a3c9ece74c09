"""Runs: their settings, inputs and code."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from project import Project

from distillery.experiment import reading
from distillery.planning.build import build
from distillery.planning.plan import Plan
from distillery.planning.runs import fingerprint_of, imported_run
from distillery.runs import fingerprint
from distillery.runs.stages import STAGES
from distillery.training import imported

FOUR: dict[str, Any] = {"ce": {}, "kd": {}, "crd": {"options": {"negatives": 16}}, "infonce": {}}


def names(planned: Plan, stage: str) -> set[str]:
    return {run.name for run in planned.stage(stage)}


def methods_of_new_students(before: Plan, after: Plan) -> set[str]:
    return {
        run.settings["method"]
        for run in after.stage("train-student")
        if run.location not in before.runs
    }


def test_a_baseline_is_shared_between_pairs_and_experiments(project: Project) -> None:
    changes = {
        "teachers": {"u": {"arch": "resnet14"}},
        "pairs": {"q": {"teacher": "u", "student": "resnet8"}},
        "methods": FOUR,
        "seeds": [0, 1],
    }
    planned = project.plan(changes)
    assert len(planned.stage("train-student")) == 2 * (1 + 2 * 3)
    other = project.plan({"name": "other", "title": "Other"})
    assert names(other, "train-student") <= names(planned, "train-student")


def test_inputs_come_before_what_reads_them(project: Project) -> None:
    planned = project.plan({"methods": FOUR})
    seen: set[str] = set()
    for location, run in planned.runs.items():
        assert set(run.inputs.values()) <= seen
        seen.add(location)


def test_what_trains_from_the_cache_does_not_read_the_teacher(project: Project) -> None:
    planned = project.plan({"methods": {**FOUR, "at": {}}})
    inputs = {run.settings["method"]: set(run.inputs) for run in planned.stage("train-student")}
    assert inputs["ce"] == {"prepared", "split"}
    assert inputs["crd"] == inputs["kd"] == {"prepared", "split", "embeddings"}
    assert inputs["at"] == {"prepared", "split", "teacher"}


def test_a_changed_setting_changes_exactly_its_runs(project: Project) -> None:
    before = project.plan({"methods": FOUR})
    after = project.plan({"methods": {**FOUR, "kd": {"options": {"temperature": 2}}}})
    assert methods_of_new_students(before, after) == {"kd"}
    for stage in ("train-teacher", "embed", "split"):
        assert names(before, stage) == names(after, stage)


def test_a_changed_method_file_changes_that_method_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.params({"methods": FOUR})
    # Not by ``loading.load``, which keeps plans.
    before = build(reading.load(file), file)
    original = fingerprint._normalised
    fingerprint_of.cache_clear()

    def edited(module: str) -> str:
        return original(module) + ("\nEDIT = 1" if module.endswith("methods.crd") else "")

    monkeypatch.setattr(fingerprint, "_normalised", edited)
    after = build(reading.load(file), file)
    fingerprint_of.cache_clear()
    assert methods_of_new_students(before, after) == {"crd"}


def test_slots_are_all_views_or_the_epochs(project: Project) -> None:
    assert project.plan().stage("train-student")[0].settings["views"]["slots"] == 3
    many = project.plan({"training": {"epochs": 300}, "data": {"augmentation": {"pad": 4}}})
    assert many.stage("train-student")[0].settings["views"]["slots"] == 81
    said = project.mistake({"embeddings": {"slots": 10}})
    assert said.startswith("embeddings.slots: found 10; there are only 9 distinct views")


def test_no_run_depends_on_the_plan(shared_project: Project) -> None:
    planned = shared_project.plan({"methods": {"kd": {}}}, "closure")
    stages = {STAGES[run.stage].module for run in planned.runs.values()}
    reached = fingerprint.closure({*stages, "distillery.reporting.page.build"})
    assert not [
        name
        for name in reached
        if name.startswith(("distillery.planning", "distillery.experiment"))
    ]


def test_settings_are_those_of_the_stage_with_nothing_left_open(shared_project: Project) -> None:
    changes = {
        "datasets": {"shapes": {"source": "shapes"}},
        "teachers": {
            "u": {"arch": "resnet8", "seed": 1},
            "v": {"arch": "resnet8", "checkpoint": shared_project.outside("x.pth")},
        },
        "pairs": {
            "q": {"teacher": ["t", "u"], "student": "resnet8"},
            "r": {"teacher": "v", "student": "resnet8", "channels": [0]},
        },
        "methods": {**FOUR, "crd-kd": {**FOUR["crd"], "method": "crd", "weights": {"kd": 1}}},
        "protocols": {"transfer": {"options": {"data": "shapes"}}},
        "tuning": {"pair": "p", "methods": {"kd": {"vary": {"options": {"temperature": [2, 4]}}}}},
    }
    planned = shared_project.plan(changes, "settings")
    assert {run.stage for run in planned.runs.values()} == set(STAGES)
    for run in planned.runs.values():
        module = importlib.import_module(STAGES[run.stage].module)
        if hasattr(module, "Settings"):
            settings = module.Settings.model_validate(run.settings)
            assert settings.model_dump(mode="json") == run.settings, run.stage


def test_a_teacher_is_imported_by_one_run_from_a_params_file_and_from_the_command_line(
    project: Project,
) -> None:
    checkpoint = project.outside("x.pth")
    planned = project.plan({"teachers": {"t": {"checkpoint": checkpoint}}})
    (prepared,) = planned.stage("prepare")
    settings = imported.Settings(arch="resnet8", **checkpoint)
    assert planned.stage("import-teacher") == [imported_run("t", prepared, settings)]
