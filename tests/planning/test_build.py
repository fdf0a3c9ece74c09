"""Which rows a plan has."""

from __future__ import annotations

from project import Project, rows


def test_methods_are_compared_for_the_pairs_that_they_name(shared_project: Project) -> None:
    changes = {
        "pairs": {"q": {"teacher": "t", "student": "resnet14", "without": ["kd"]}},
        "methods": {
            "kd": {},
            "crd": {"pairs": ["q"]},
            "infonce": {"pairs": [], "weights": {"ce": 0}},
        },
        "ablations": {"a": {"pair": "p", "method": "infonce", "vary": {"weights": {"ce": [0, 1]}}}},
    }
    planned = shared_project.plan(changes, "compared")
    found = [(row.pair, row.method) for row in rows(planned, "main")]
    assert found == [("p", "ce"), ("p", "kd"), ("q", "ce"), ("q", "crd")]
    assert [row.method for row in rows(planned, "a")] == ["infonce", "infonce"]


def test_a_pair_goes_without_a_method_that_another_runs(project: Project) -> None:
    changes = {
        "teachers": {"u": {"arch": "wrn_40_2"}},
        "pairs": {"q": {"teacher": "u", "student": "resnet8", "without": ["fsp"]}},
        "methods": {"fsp": {}, "kd": {}},
    }
    found = [(row.pair, row.method) for row in rows(project.plan(changes), "main")]
    assert found == [("p", "ce"), ("p", "fsp"), ("p", "kd"), ("q", "ce"), ("q", "kd")]
