"""What is known of data sets before they are read, and who learns from which."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project, photos, rows
from safetensors.torch import load_file

DATASETS = {"small": {"source": "digits", "split": {"per_class": 4}, "training": {"epochs": 2}}}


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
            planned.runs[planned.runs[row.run].inputs["split"]].settings["per_class"],
            planned.runs[row.run].settings["training"]["epochs"],
            planned.runs[row.run].settings["augmentation"]["pad"],
        )
        for row in rows(planned, "main")
        if row.method == "kd"
    }
    # What the data set does not say is the schema's default, not that of the other data set.
    assert settings == {"p": (8, 3, 1), "q": (4, 2, 4)}


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
    widths = {
        folder: load_file(path)["conv1.weight"].shape[1]
        for folder, path in {
            "student": trained.file("model.safetensors"),
            "teacher": shared_project.data / rows(planned, "teachers")[0].run / "model.safetensors",
        }.items()
    }
    assert widths == {"student": 2, "teacher": 1}


@pytest.mark.parametrize(
    "data",
    [
        {"channels": 3},
        # Grey images in colour, of which two channels are chrominance.
        {"colour": "lab"},
        # They are looked at.
        {"source": "image-folder", "path": "x"},
    ],
)
def test_channels_that_may_be_there_are_not_refused(
    shared_project: Project, data: dict[str, Any]
) -> None:
    photos(shared_project.raw / "x", train=8)
    changes = {"data": data, "pairs": {"p": {"channels": [1, 2]}}}
    planned = shared_project.plan(changes, "channels-of-" + "-".join(data))
    (row,) = rows(planned, "main")
    assert tuple(planned.runs[row.run].settings["channels"]) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"teachers": {"t": {"channels": [0, 1]}}},
            "teachers.t.channels: found 1; images of 'digits' have 1 channel(s) (allowed: 0)",
        ),
        (
            {"data": {"channels": 1}, "pairs": {"p": {"channels": [1, 0, 2]}}},
            "pairs.p.channels: found 1, 2; images of 'digits' have 1 channel(s) (allowed: 0)",
        ),
        (
            # The images are those of the pair's teacher, not the experiment's.
            {
                "data": {"channels": 3},
                "datasets": DATASETS,
                "teachers": {"u": {"arch": "resnet8", "data": "small"}},
                "pairs": {
                    "p": {"channels": [2]},
                    "q": {"teacher": "u", "student": "resnet8", "channels": [2]},
                },
            },
            "pairs.q.channels: found 2; images of 'small' have 1 channel(s) (allowed: 0)",
        ),
        (
            # They are looked at.
            {
                "datasets": {"grey": {"source": "image-folder", "path": "grey"}},
                "teachers": {"u": {"arch": "resnet8", "data": "grey", "channels": [2]}},
            },
            "teachers.u.channels: found 2; images of 'grey' have 1 channel(s) (allowed: 0)",
        ),
    ],
)
def test_channels_that_are_not_there_are_refused(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    photos(project.raw / "grey", train=8, mode="L")
    assert project.mistake(changes).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"protocols": {"few-shot": {"options": {"fractions": [0.05, 1]}}}},
            "protocols.few-shot.vary.split: a fraction of 0.05 of per_class 8 leaves no image",
        ),
        (
            {
                "!data": {"source": "digits"},
                "protocols": {"few-shot": {"options": {"fractions": [0.005, 1]}}},
            },
            "protocols.few-shot.vary.split: a fraction of 0.005 leaves a class empty: the smallest "
            "class has 116 training images",
        ),
        (
            {"teachers": {"t": {"split": {"per_class": 117}}}},
            "teachers.t.split: 117 images of each class wanted, but the smallest class has 116",
        ),
    ],
)
def test_splits_that_leave_too_few_images_are_refused(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    assert project.mistake(changes).startswith(message)
