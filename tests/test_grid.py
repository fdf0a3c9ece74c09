"""What a params file expands to: further data sets, channels, lists of variants, protocols."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from project import Project

from distillery.errors import UserError
from distillery.plan import Plan, Row

DATASETS = {"small": {"source": "digits", "split": {"per_class": 4}, "training": {"epochs": 2}}}


def rows(planned: Plan, table: str) -> list[Row]:
    return [row for row in planned.rows if row.table == table]


def inputs_of(planned: Plan, row: Row, name: str) -> Any:
    run = planned.runs[row.run]
    return planned.runs[run.inputs[name]]


def test_students_are_taught_on_the_data_of_their_teacher(shared_project: Project) -> None:
    changes = {
        "datasets": DATASETS,
        "teachers": {"u": {"arch": "resnet8", "data": "small"}},
        "pairs": {"q": {"teacher": "u", "student": "resnet8"}},
        "methods": {"kd": {}},
    }
    planned = shared_project.plan(changes, "two-data-sets")
    settings = {
        row.pair: (
            inputs_of(planned, row, "split").settings["per_class"],
            planned.runs[row.run].settings["training"]["epochs"],
            planned.runs[row.run].settings["augmentation"]["pad"],
        )
        for row in rows(planned, "main")
        if row.method == "kd"
    }
    # What the data set does not say is the schema's default, not that of the other data set.
    assert settings == {"p": (8, 3, 1), "q": (4, 2, 4)}
    labels = {name: pair["teacher_arch"] for name, pair in planned.report["pairs"].items()}
    assert labels == {"p": "digits: resnet8", "q": "small: resnet8"}


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
    found = [(row.method, dict(row.variant)) for row in rows(planned, "batch")]
    first = {"training.batch_size": 16, "training.lr": 0.02, "weights.kd": None}
    second = {"training.batch_size": 32, "training.lr": 0.04, "weights.kd": 1}
    assert found == [
        (name, {"method": name, **variant})
        for name in ("ce", "infonce")
        for variant in (first, second)
    ]
    assert planned.report["ablations"]["batch"]["axes"] == [
        "method",
        "training.batch_size",
        "training.lr",
        "weights.kd",
    ]
    trained = planned.runs[rows(planned, "batch")[-1].run].settings
    assert (trained["training"]["lr"], trained["kd_temperature"]) == (0.04, 4.0)


def test_a_variant_can_change_the_students_split_alone(shared_project: Project) -> None:
    ablation = {"pair": "p", "method": "ce", "vary": {"split": {"per_class": [4, 8]}}}
    planned = shared_project.plan({"ablations": {"images": ablation}}, "split-axis")
    few, same = rows(planned, "images")
    assert inputs_of(planned, few, "split").settings["per_class"] == 4
    assert same.run == rows(planned, "main")[0].run
    assert few.teacher == same.teacher


def test_protocols_are_run_where_they_are_asked_for(shared_project: Project) -> None:
    changes = {
        "seeds": [0, 1],
        "methods": {"kd": {}},
        "ablations": {
            "plain": {"pair": "p", "method": "kd", "vary": {"kd_temperature": [1.0]}},
            "measured": {
                "pair": "p",
                "method": "kd",
                "vary": {"kd_temperature": [2.0]},
                "protocols": ["calibration"],
            },
        },
        "!protocols": {
            "classification": {},
            "calibration": {
                "protocol": "classification",
                "options": {"calibration_bins": 5},
                "methods": ["kd"],
                "seeds": [1],
            },
        },
    }
    planned = shared_project.plan(changes, "protocols")
    found = {
        (row.table, row.method, row.seed): sorted(row.evaluations, reverse=True)
        for row in planned.rows
        if row.table != "teachers"
    }
    assert found == {
        ("main", "ce", 0): ["classification"],
        ("main", "ce", 1): ["classification"],
        ("main", "kd", 0): ["classification"],
        ("main", "kd", 1): ["classification", "calibration"],
        ("plain", "kd", 0): [],
        ("plain", "kd", 1): [],
        ("measured", "kd", 0): ["calibration"],
        ("measured", "kd", 1): ["calibration"],
    }
    (teacher,) = rows(planned, "teachers")
    assert sorted(teacher.evaluations) == ["calibration", "classification"]
    options = planned.runs[teacher.evaluations["calibration"]].settings["options"]
    assert options == {"calibration_bins": 5}


def test_groups_of_options_are_merged(shared_project: Project) -> None:
    method = {"weights": {"kd": 1, "method": 2}}
    ablation = {"pair": "p", "method": "kd", "vary": {"weights": {"method": [3]}}}
    planned = shared_project.plan({"methods": {"kd": method}, "ablations": {"a": ablation}}, "deep")
    (row,) = rows(planned, "a")
    assert planned.runs[row.run].settings["weights"] == {"ce": 0.1, "kd": 1.0, "method": 3.0}


def test_networks_can_see_different_channels(shared_project: Project) -> None:
    changes = {
        "data": {"channels": 3},
        "!teachers": {"t": {"arch": "resnet8", "channels": [0]}},
        "!pairs": {"p": {"teacher": "t", "student": "resnet8", "channels": [1, 2]}},
        "methods": {"infonce": {"weights": {"ce": 0}, "options": {"dim": 8, "negatives": "all"}}},
    }
    planned = shared_project.plan(changes, "channels")
    run = next(planned.runs[row.run] for row in rows(planned, "main") if row.method == "infonce")
    trained = shared_project.make(planned, run)
    from safetensors.torch import load_file

    widths = {
        folder: load_file(path)["conv1.weight"].shape[1]
        for folder, path in {
            "student": trained.file("model.safetensors"),
            "teacher": shared_project.data / rows(planned, "teachers")[0].run / "model.safetensors",
        }.items()
    }
    assert widths == {"student": 2, "teacher": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"!teachers": {"t": {"arch": "resnet8", "channels": [0]}}, "methods": {"at": {}}},
            "pairs.p: 'at' runs the teacher live, which then has to see the student's channels",
        ),
        (
            {"teachers": {"t": {"data": "smalll"}}, "datasets": DATASETS},
            "teachers.t.data: unknown data set 'smalll'; did you mean 'small'?",
        ),
        (
            {"ablations": {"a": {"pair": "p", "method": "ce"}}},
            "ablations.a.vary: nothing is varied",
        ),
        (
            {"ablations": {"a": {"pair": ["p", "pp"], "method": "ce"}}},
            "ablations.a.pair: unknown pair 'pp'",
        ),
        (
            {"ablations": {"a": {"pair": "p", "method": "ce", "vary": [{"training": {"lr": -1}}]}}},
            "ablations.a.vary[0].training.lr: found -1",
        ),
        (
            {
                "ablations": {
                    "classification": {"pair": "p", "method": "ce", "vary": {"seeds": [1]}}
                }
            },
            "ablations.classification: this id names a table",
        ),
        (
            {"!protocols": {"classification": {"methods": ["kd"]}}},
            "protocols.classification.methods: unknown method entry 'kd'",
        ),
        (
            {"pairs": {"p": {"only": []}}},
            "pairs: no method entry is run for any pair",
        ),
        (
            {"training": {"instances": 3}},
            "training: batch_size (32) must be a multiple of instances (3)",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as error:
        project.plan(changes)
    assert "\n" not in str(error.value)


def test_the_report_names_what_a_variant_is_made_of(shared_project: Project) -> None:
    planned = shared_project.plan({}, "plain-report")
    assert json.loads(json.dumps(planned.report))["sections"] == {}
