"""What a method entry becomes for one pair and one variant."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project, rows


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"method": "ce"}, True),
        ({"method": "infonce"}, True),
        ({"method": "infonce", "weights": {"ce": 0}}, False),
        ({"method": "infonce", "weights": {"ce": 0, "kd": 0.5}}, True),
        ({"method": "kd", "weights": {"ce": 0}}, True),
        ({"method": "dkd", "weights": {"ce": 0}}, True),
        ({"method": "dkd", "weights": {"ce": 0, "method": 0}}, False),
        ({"method": "at", "weights": {"ce": 0}}, False),
        # Its classifier is the teacher's.
        ({"method": "simkd"}, True),
    ],
)
def test_it_is_known_whether_training_reaches_the_classifier(
    shared_project: Project, entry: dict[str, Any], expected: bool
) -> None:
    planned = shared_project.plan({"!methods": {"entry": entry}}, "classifier")
    assert [row.classifies for row in rows(planned, "main")] == [expected]
    assert all(row.classifies for row in rows(planned, "teachers"))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"method": "kd", "options": {"temperature": 2}}, 2),
        ({"method": "dkd", "weights": {"kd": 1}}, 4),
        ({"method": "crd", "options": {"negatives": 8}, "weights": {"kd": 1}}, 4),
        ({"method": "fsecd", "kd_temperature": 3}, 3),
    ],
)
def test_joint_teachers_are_averaged_at_the_temperature_of_the_loss(
    shared_project: Project, entry: dict[str, Any], expected: float
) -> None:
    changes = {
        "teachers": {"u": {"arch": "resnet8", "seed": 1}},
        "!pairs": {"p": {"teacher": ["t", "u"], "student": "resnet8"}},
        "!methods": {"entry": {**entry, "ensemble": "joint"}},
    }
    planned = shared_project.plan(changes, "joint")
    (run,) = planned.stage("train-student")
    assert run.settings["joint_temperature"] == expected


def test_groups_of_options_are_merged(shared_project: Project) -> None:
    method = {"weights": {"kd": 1, "method": 2}}
    ablation = {"pair": "p", "method": "kd", "vary": {"weights": {"method": [3]}}}
    planned = shared_project.plan({"methods": {"kd": method}, "ablations": {"a": ablation}}, "deep")
    (row,) = rows(planned, "a")
    assert planned.runs[row.run].settings["weights"] == {"ce": 0.1, "kd": 1.0, "method": 3.0}


def test_overrides_of_a_pair_and_of_a_method_in_it(project: Project) -> None:
    changes = {
        "methods": {"kd": {}, "crd": {"options": {"negatives": 16}}},
        "pairs": {
            "p": {
                "training": {"lr": 0.01},
                "methods": {"kd": {"options": {"temperature": 2}, "weights": {"ce": 0.5}}},
            }
        },
    }
    runs = {run.settings["method"]: run for run in project.plan(changes).stage("train-student")}
    assert {run.settings["training"]["lr"] for run in runs.values()} == {0.01}
    assert runs["kd"].settings["options"] == {"temperature": 2}
    assert runs["kd"].settings["weights"] == {"ce": 0.5, "kd": 0, "method": 0.9}


def test_a_pair_that_a_method_cannot_match_is_refused_when_the_plan_is_made(
    project: Project,
) -> None:
    changes = {"!methods": {"fsp": {}}, "!teachers": {"t": {"arch": "wrn_40_2"}}}
    said = project.mistake(changes)
    assert said.startswith("pairs.p: ")
    assert "fsp" in said
    assert "wrn_40_2" in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"!teachers": {"t": {"arch": "resnet8", "channels": [0]}}, "methods": {"at": {}}},
            "pairs.p: 'at' runs the teacher live, which then has to see the student's channels",
        ),
        (
            {
                "teachers": {"u": {"arch": "resnet8", "seed": 1}},
                "!pairs": {"p": {"teacher": ["t", "u"], "student": "resnet8"}},
                "methods": {
                    "dkd": {
                        "ensemble": "joint",
                        "weights": {"kd": 1},
                        "options": {"temperature": 2},
                    }
                },
            },
            "pairs.p: the teachers' joint probabilities are those at one temperature, but that of "
            "'dkd' is 2 and kd_temperature 4",
        ),
    ],
)
def test_teachers_that_a_method_cannot_learn_from_are_refused(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    assert project.mistake(changes).startswith(message)
