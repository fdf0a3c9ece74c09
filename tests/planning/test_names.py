"""Readable names: they tell runs apart, are safe and bounded, and identify nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from project import Project, rows

from distillery.data.settings import Source, Split
from distillery.planning import names
from distillery.planning.plan import Plan
from distillery.runs import stages
from distillery.runs.artifact import Artifact, Finished, published

SAFE = re.compile(r"[A-Za-z0-9._-]+")


def slugs(planned: Plan, stage: str) -> list[str]:
    return [run.slug for run in planned.stage(stage)]


def test_entries_pairs_and_variants_of_one_method_have_names_of_their_own(project: Project) -> None:
    planned = project.plan(
        {
            "pairs": {"q": {"teacher": "u", "student": "resnet8"}},
            "teachers": {"u": {"arch": "resnet14"}},
            "!methods": {"kd": {}, "kd-hot": {"method": "kd", "options": {"temperature": 8}}},
            "ablations": {
                "t": {"pair": "q", "method": "kd", "vary": {"options": {"temperature": [1, 2.5]}}}
            },
        }
    )
    students = slugs(planned, "train-student")
    assert students == [
        "digits-p-kd-s0",
        "digits-p-kd-hot-s0",
        "digits-q-kd-s0",
        "digits-q-kd-hot-s0",
        "digits-q-kd-temperature-1-s0",
        "digits-q-kd-temperature-2.5-s0",
    ]
    assert slugs(planned, "train-teacher") == ["digits-t-resnet8-s0", "digits-u-resnet14-s0"]
    assert "digits-q-kd-hot-s0-classification" in slugs(planned, "evaluate")
    assert slugs(planned, "embed")[0] == "digits-t-resnet8-s0-for-per-class-8-v3"


def test_trials_are_named_by_what_they_try(project: Project) -> None:
    search = {"vary": {"options": {"temperature": [2, 4]}}}
    planned = project.plan(
        {"!methods": {"kd": {}}, "tuning": {"pair": "p", "methods": {"kd": search}}}
    )
    # The entry as it is has a temperature of 4.
    assert slugs(planned, "trial") == [
        "digits-p-kd-s0-trial",
        "digits-p-kd-temperature-2-s0-trial",
    ]
    assert slugs(planned, "select") == ["p-kd-selection"]


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("", {"source": "digits"}, "digits"),
        ("", {"source": "image-folder", "path": "photos/my photos.tar.gz"}, "my-photos"),
        ("", {"source": "image-folder", "path": "/data/Äpfel/"}, "Apfel"),
        ("", {"source": "image-folder", "path": "写真"}, "image-folder"),
        ("", {"source": "cifar10", "path": "cifar-10-python.tar.gz"}, "cifar10"),
        ("my-set", {"source": "image-folder", "path": "x"}, "my-set"),
    ],
)
def test_a_data_set_is_called_by_its_own_name(
    name: str, source: dict[str, Any], expected: str
) -> None:
    assert names.of_data(name, Source(**source)) == expected


def test_names_are_safe_and_bounded(project: Project) -> None:
    """With a key and what files of a name are called beside it, 255 bytes are the limit."""
    long = "x" * 64
    planned = project.plan(
        {
            "name": long,
            "!teachers": {long: {"arch": "resnet8"}},
            "!pairs": {long: {"teacher": long, "student": "resnet8"}},
            "!methods": {long: {"method": "ce"}},
            "report": {"baseline": long},
            "ablations": {
                "a": {
                    "pair": long,
                    "method": long,
                    "vary": [{"training": {"lr": 0.1, "milestones": [1, 2], "weight_decay": 1e-9}}],
                }
            },
            "!protocols": {long: {"protocol": "classification"}},
        }
    )
    for run in planned.runs.values():
        assert SAFE.fullmatch(run.name), run.name
        assert len(run.name) <= 210
    assert slugs(planned, "train-student")[1].endswith(
        "lr-0.1-milestones-1-2-weight_decay-1e-09-s0"
    )


def test_what_is_trained_on_is_said_in_short() -> None:
    assert names.of_split(Split()) == ""
    split = Split(per_class=10, validation_fraction=0.2, seed=3)
    assert names.of_split(split) == "per-class-10-held-out-0.2-split-3"


def test_experiments_that_name_a_run_differently_share_it(project: Project) -> None:
    """It stays where the first one put it, and all of the others find it there."""
    first = project.plan({"!methods": {"kd": {}}})
    project.make_all(first)
    changes = {
        "!teachers": {"other": {"arch": "resnet8"}},
        "!pairs": {"twin": {"teacher": "other", "student": "resnet8"}},
        "!methods": {"soft": {"method": "kd"}, "ce": {}},
        "report": {"baseline": "ce"},
    }
    second = project.plan(changes, "second")
    there = len(list(published(project.data)))
    (soft,) = (each for each in second.stage("train-student") if "soft" in each.slug)
    (kd,) = first.stage("train-student")
    assert (soft.slug, kd.slug) == ("digits-twin-soft-s0", "digits-p-kd-s0")
    assert soft.key == kd.key
    finished = Finished(project.data)
    assert soft.location in finished
    assert finished.path(soft.location) == project.data / kd.location
    pending = second.pending(project.data)
    assert {run.stage for run in pending} == {"train-student", "evaluate", "collect"}
    project.make_all(second)
    assert len(list(published(project.data))) == there + len(pending)
    assert not second.pending(project.data)
    assert stages.execute(project.data, soft) == project.data / kd.location
    # Each evaluation says what it read by the name in its own plan: the same run, by its key.
    evaluations = [run for run in second.stage("evaluate") if "soft" in run.slug]
    opened = [Artifact(finished.path(run.location)) for run in evaluations]
    assert {each.manifest["inputs"]["network"][-16:] for each in opened} == {kd.key}
    collected = Artifact(finished.path(second.collected))
    assert collected.problems() == []
    assert {row.method for row in rows(second, "main")} == {"soft", "ce"}


def test_one_plan_names_a_run_once(project: Project) -> None:
    """Of the comparison and of a variant that changes nothing, the first gives the name."""
    vary = {"options": {"temperature": [4, 5]}}
    ablation = {"pair": "p", "method": "kd", "vary": vary}
    planned = project.plan({"!methods": {"kd": {}}, "ablations": {"t": ablation}})
    assert slugs(planned, "train-student") == ["digits-p-kd-s0", "digits-p-kd-temperature-5-s0"]
    assert rows(planned, "t")[0].run == rows(planned, "main")[0].run
