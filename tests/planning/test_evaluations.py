"""Which protocols are run on which networks."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project, rows


def test_protocols_are_run_where_they_are_asked_for(shared_project: Project) -> None:
    changes = {
        "seeds": [0, 1],
        "methods": {"kd": {}},
        "ablations": {
            "plain": {"pair": "p", "method": "kd", "vary": {"options": {"temperature": [1.0]}}},
            "measured": {
                "pair": "p",
                "method": "kd",
                "vary": {"options": {"temperature": [2.0]}},
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


def test_entries_of_one_protocol_share_their_runs(shared_project: Project) -> None:
    changes = {
        "!protocols": {
            "classification": {},
            "again": {"protocol": "classification"},
            "other": {"protocol": "classification", "options": {"calibration_bins": 5}},
        }
    }
    planned = shared_project.plan(changes, "entries")
    for row in planned.rows:
        assert row.evaluations["again"] == row.evaluations["classification"]
        assert row.evaluations["other"] != row.evaluations["classification"]


def test_no_pairs_leave_a_protocol_to_ablations(shared_project: Project) -> None:
    changes = {
        "methods": {"kd": {}},
        "ablations": {
            "a": {
                "pair": "p",
                "method": "kd",
                "vary": {"options": {"temperature": [1.0]}},
                "protocols": ["classification"],
            }
        },
        "!protocols": {"classification": {"pairs": []}},
    }
    planned = shared_project.plan(changes, "no-pairs")
    found = {row.table: list(row.evaluations) for row in planned.rows}
    assert found == {"teachers": [], "main": [], "a": ["classification"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "datasets": {"colours": {"source": "shapes", "channels": 3, "colour": "lab"}},
                "data": {"channels": 3},
                "protocols": {"transfer": {"options": {"data": "colours"}}},
            },
            "protocols.transfer.options.data: its `colour` is lab, but the networks learn from rgb",
        ),
        (
            {
                "datasets": {"grey": {"source": "shapes"}},
                "data": {"channels": 3},
                "pairs": {"p": {"channels": [1]}},
                "protocols": {"transfer": {"options": {"data": "grey"}}},
            },
            "protocols.transfer: options.data: images of 'grey' have 1 channel(s), those that the "
            "network is trained on have 3",
        ),
        (
            {
                "teachers": {"u": {"arch": "resnet8x4"}},
                "pairs": {"q": {"teacher": "u", "student": "resnet8"}},
                "protocols": {"tsne": {"options": {"joint": True}}},
            },
            "protocols.tsne: options.joint needs features of one dimension, but the network has 64 "
            "and its teacher 256",
        ),
    ],
)
def test_networks_that_a_protocol_cannot_measure_are_refused(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    assert project.mistake(changes).startswith(message)
