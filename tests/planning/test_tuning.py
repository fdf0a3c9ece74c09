"""Tuning in the plan: trials, what selects one, and the students that become what was selected."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project, rows

from distillery.planning.plan import Plan
from distillery.runs.run import Run

METHODS: dict[str, Any] = {"kd": {}, "infonce": {"options": {"dim": 16}}, "dkd": {}}
TUNING: dict[str, Any] = {
    "pair": "p",
    "methods": {
        "ce": {"vary": {"training": {"lr": [0.01, 0.05, 0.1]}}},
        "kd": {"vary": {"options": {"temperature": [2, 4, 8]}}},
        "infonce": {
            "trials": 3,
            "vary": {
                "options": {"temperature": {"log-uniform": [0.05, 0.5]}},
                "weights": {"method": {"uniform": [0.2, 2]}},
            },
        },
    },
}
CHANGES = {"methods": METHODS, "tuning": TUNING, "seeds": [0, 1]}


def selecting(planned: Plan, entry: str, pair: str = "p") -> Run:
    (found,) = [run for run in planned.stage("select") if run.slug == f"{pair}-{entry}-selection"]
    return found


def students(planned: Plan, entry: str, table: str = "main", pair: str = "p") -> list[Run]:
    found = [row for row in rows(planned, table) if (row.method, row.pair) == (entry, pair)]
    return [planned.runs[row.run] for row in found]


def temperatures(run: Run) -> list[float]:
    own = run.settings["options"]
    return [each.get("options", own)["temperature"] for each in run.settings["candidates"]]


@pytest.fixture(scope="module")
def planned(shared_project: Project) -> Plan:
    return shared_project.plan(CHANGES, "tuned")


def test_every_entry_has_its_trials_and_a_run_that_selects(planned: Plan) -> None:
    assert len(planned.stage("trial")) == 3 * 3
    assert len(planned.stage("select")) == 3
    for entry in TUNING["methods"]:
        run = selecting(planned, entry)
        assert [*run.inputs] == ["trial-0-s0", "trial-1-s0", "trial-2-s0"]
        tried = [planned.runs[location] for location in run.inputs.values()]
        assert {trial.settings["method"] for trial in tried} == {entry}
    # A value that is the entry's own is no trial of its own.
    assert selecting(planned, "kd").settings["trials"] == [
        {"options.temperature": 4.0},
        {"options.temperature": 2.0},
        {"options.temperature": 8.0},
    ]


def test_students_of_tuned_entries_read_the_selection_and_know_what_they_may_become(
    planned: Plan,
) -> None:
    for entry in TUNING["methods"]:
        for run in students(planned, entry):
            assert run.inputs["selected-by"] == selecting(planned, entry).location
            assert len(run.settings["candidates"]) == 3
            assert run.settings["candidates"][0] == {}
    for run in students(planned, "kd"):
        assert temperatures(run) == [4, 2, 8]
    for run in students(planned, "dkd"):
        assert "selected-by" not in run.inputs
        assert run.settings["candidates"] == []
    assert selecting(planned, "kd").location in planned.runs[planned.collected].inputs


def test_the_keys_of_students_hang_on_the_trials(project: Project, planned: Plan) -> None:
    tuning = {**TUNING, "held_out": 0.3}
    changed = project.plan({**CHANGES, "tuning": tuning})
    for entry in TUNING["methods"]:
        before, after = students(planned, entry), students(changed, entry)
        assert all(one.key != other.key for one, other in zip(before, after, strict=True))
        assert [run.settings for run in before] == [run.settings for run in after]
    assert students(planned, "dkd") == students(changed, "dkd")
    alone = project.plan({"methods": METHODS, "seeds": [0, 1]})
    assert students(planned, "dkd") == students(alone, "dkd")


def test_trials_and_their_teachers_do_not_see_the_held_out_images(planned: Plan) -> None:
    held_out = set()
    for trial in planned.stage("trial"):
        read = {name: planned.runs[location] for name, location in trial.inputs.items()}
        splits = [read["split"]]
        if "embeddings" in read:
            cached = {n: planned.runs[each] for n, each in read["embeddings"].inputs.items()}
            teacher = cached["teacher"]
            splits += [cached["split"], planned.runs[teacher.inputs["split"]]]
        held_out |= {
            (split.settings["validation_fraction"], split.settings["seed"]) for split in splits
        }
    assert held_out == {(0.2, 0)}
    finals = {run.inputs["split"] for run in planned.stage("train-student")}
    assert [planned.runs[split].settings["validation_fraction"] for split in finals] == [0]


def test_the_held_out_images_are_the_students_also_where_a_teacher_has_a_split(
    project: Project,
) -> None:
    """The seed of a split decides which images it holds out."""
    changes = {
        "data": {"split": {"seed": 3}},
        "teachers": {"t": {"split": {"seed": 1}}},
        "methods": {"at": {}},
        "tuning": {"pair": "p", "methods": {"at": {"vary": {"weights": {"method": [1, 2]}}}}},
    }
    planned = project.plan(changes)
    for trial in planned.stage("trial"):
        teacher = planned.runs[trial.inputs["teacher"]]
        for run in (trial, teacher):
            split = planned.runs[run.inputs["split"]].settings
            assert (split["validation_fraction"], split["seed"]) == (0.2, 3)


def test_the_final_teacher_may_teach_in_trials(project: Project) -> None:
    changes = {**CHANGES, "tuning": {**TUNING, "teachers": "final"}}
    planned = project.plan(changes)
    assert len(planned.stage("train-teacher")) == 1
    # Its cache is that of other images.
    assert len(planned.stage("embed")) == 2


def test_trials_may_be_shorter_and_have_several_seeds(project: Project) -> None:
    tuning = {**TUNING, "seeds": [5, 6], "training": {"epochs": 2}}
    planned = project.plan({**CHANGES, "tuning": tuning})
    assert len(planned.stage("trial")) == 3 * 3 * 2
    assert {run.settings["training"]["epochs"] for run in planned.stage("trial")} == {2}
    assert {run.settings["training"]["epochs"] for run in planned.stage("train-student")} == {3}
    assert [*selecting(planned, "kd").inputs][:3] == ["trial-0-s5", "trial-0-s6", "trial-1-s5"]


def test_other_pairs_follow_unless_the_file_says_what_theirs_is(project: Project) -> None:
    student = {"teacher": "t", "student": "resnet8"}
    pairs = {
        "q": {**student, "channels": [0]},
        "r": {**student, "methods": {"kd": {"options": {"temperature": 7}}}},
    }
    tuning = {"pair": "p", "methods": {"kd": TUNING["methods"]["kd"]}}
    planned = project.plan({"methods": {"kd": {}}, "pairs": pairs, "tuning": tuning})
    (follows,) = students(planned, "kd", pair="q")
    assert follows.inputs["selected-by"] == selecting(planned, "kd").location
    assert temperatures(follows) == [4, 2, 8]
    (own,) = students(planned, "kd", pair="r")
    assert "selected-by" not in own.inputs
    assert own.settings["options"] == {"temperature": 7}


def test_pairs_may_be_tuned_on_their_own(project: Project) -> None:
    pairs = {"q": {"teacher": "t", "student": "resnet14"}}
    tuning = {"pair": ["p", "q"], "methods": {"kd": TUNING["methods"]["kd"]}}
    planned = project.plan({"methods": {"kd": {}}, "pairs": pairs, "tuning": tuning})
    for pair in ("p", "q"):
        (run,) = students(planned, "kd", pair=pair)
        assert run.inputs["selected-by"] == selecting(planned, "kd", pair).location
    assert len(planned.stage("select")) == 2


def test_ablations_inherit_what_is_selected_but_for_what_they_vary(project: Project) -> None:
    both = {"options": {"temperature": [2, 4]}, "training": {"lr": [0.05, 0.1]}}
    changes = {
        "methods": {"kd": {}},
        "tuning": {"pair": "p", "methods": {"kd": {"vary": both}}},
        "ablations": {
            "a": {"pair": "p", "method": "kd", "vary": {"options": {"temperature": [9]}}}
        },
    }
    planned = project.plan(changes)
    (run,) = students(planned, "kd", "a")
    assert run.settings["options"] == {"temperature": 9}
    assert "selected-by" in run.inputs
    rates = [each.get("training", {"lr": 0.05})["lr"] for each in run.settings["candidates"]]
    # Of the entry itself (4, 0.05), then of (2, 0.05), (2, 0.1) and (4, 0.1).
    assert rates == [0.05, 0.05, 0.1, 0.1]
    assert all("options" not in each for each in run.settings["candidates"])


def test_the_report_declares_its_files(planned: Plan) -> None:
    section = planned.report.sections["tuning"]
    assert section.tables == ("", "trials")
    assert section.figures == ("ce", "infonce", "kd")


def test_ids_of_sections_do_not_collide(project: Project) -> None:
    said = project.mistake({"protocols": {"tuning": {"protocol": "few-shot"}}})
    assert said.startswith("protocols.tuning: this id names another part of the report")
