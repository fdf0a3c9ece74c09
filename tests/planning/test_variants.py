"""Ablations: axes that are combined, and variants that are listed."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project, rows


def test_a_list_of_variants_is_run_as_it_is(shared_project: Project) -> None:
    vary = [
        {"training": {"batch_size": 16, "lr": 0.02}},
        {"training": {"batch_size": 32, "lr": 0.04}, "weights": {"kd": 1}},
    ]
    changes = {
        "methods": {"infonce": {}},
        "ablations": {"batch": {"pair": "p", "method": ["ce", "infonce"], "vary": vary}},
    }
    planned = shared_project.plan(changes, "listed")
    found = [(row.method, row.variant) for row in rows(planned, "batch")]
    first = {"training.batch_size": 16, "training.lr": 0.02}
    second = {"training.batch_size": 32, "training.lr": 0.04, "weights.kd": 1}
    assert found == [
        (name, {"method": name, **variant})
        for name in ("ce", "infonce")
        for variant in (first, second)
    ]
    axes = ("method", "training.batch_size", "training.lr", "weights.kd")
    assert planned.report.ablations["batch"].axes == axes
    trained = planned.runs[rows(planned, "batch")[-1].run].settings
    assert (trained["training"]["lr"], trained["kd_temperature"]) == (0.04, 4.0)


def test_an_ablation_varies_every_axis_and_shares_runs_with_the_main_table(
    project: Project,
) -> None:
    vary = {"options": {"temperature": [0.07, 0.2]}, "weights": {"method": [0.8, 1.6, 3.2]}}
    ablation = {"pair": "p", "method": "infonce", "vary": vary}
    planned = project.plan({"methods": {"infonce": {}}, "ablations": {"a": ablation}})
    found = rows(planned, "a")
    assert len(found) == 6
    assert found[0].variant == {"options.temperature": 0.07, "weights.method": 0.8}
    main = {row.run for row in rows(planned, "main")}
    assert sum(row.run in main for row in found) == 1


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ({"options": {"temperature": 0.07}}, "vary.options.temperature: found 0.07; an axis is"),
        ({"options": {"temperature": []}}, "vary.options.temperature: found []; an axis is"),
        ({"options": {"temperature": [-1]}}, "vary.options.temperature: found -1; must be"),
        ({"option": {"temperature": [1]}}, "unknown key 'option'; did you mean 'options'?"),
        ([{"training": {"lr": 0.1}}, {"training": {"lr": -1}}], "vary[1].training.lr: found -1"),
    ],
)
def test_impossible_axes_are_refused(project: Project, vary: Any, message: str) -> None:
    ablation = {"pair": "p", "method": "infonce", "vary": vary}
    said = project.mistake({"methods": {"infonce": {}}, "ablations": {"a": ablation}})
    assert said.startswith("ablations.a.")
    assert message in said


def test_a_variant_can_change_the_students_split_alone(shared_project: Project) -> None:
    ablation = {"pair": "p", "method": "ce", "vary": {"split": {"per_class": [4, 8]}}}
    planned = shared_project.plan({"ablations": {"images": ablation}}, "split-axis")
    few, same = rows(planned, "images")
    split = planned.runs[few.run].inputs["split"]
    assert planned.runs[split].settings["per_class"] == 4
    assert same.run == rows(planned, "main")[0].run
    assert few.teacher == same.teacher
