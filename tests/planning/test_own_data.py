"""Raw files and plans: changed contents, missing files, counts that settings have to fit."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from project import Project, photos

from distillery.core.errors import UserError
from distillery.data import looking
from distillery.planning import loading
from distillery.planning.plan import Plan

FOLDER = {"!data": {"source": "image-folder", "path": "pets"}, "training": {"batch_size": 4}}
METHODS = {"methods": {"crd": {}}}


@pytest.fixture
def pets(project: Project) -> Path:
    return photos(project.raw / "pets")


def keys(planned: Plan) -> set[str]:
    return {run.key for run in planned.runs.values()}


def test_changed_contents_change_every_key(project: Project, pets: Path) -> None:
    before = project.plan({**FOLDER, **METHODS})
    shutil.copy(pets / "train" / "cat" / "0.png", pets / "train" / "cat" / "new.png")
    added = project.plan({**FOLDER, **METHODS})
    assert not keys(before) & keys(added)
    (pets / "train" / "cat" / "new.png").unlink()
    assert project.plan({**FOLDER, **METHODS}) == before, "what was made of it counts again"


def test_neither_times_nor_place_change_a_key(project: Project, pets: Path, tmp_path: Path) -> None:
    before = project.plan(FOLDER)
    for file in pets.rglob("*.png"):
        os.utime(file, (0, 0))
    assert project.plan(FOLDER) == before
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(pets, tmp_path / "elsewhere")
    after = project.plan({**FOLDER, "!data": {**FOLDER["!data"], "path": str(moved)}})
    assert keys(after) == keys(before)


def test_another_way_to_read_the_same_files_is_another_data_set(
    project: Project, pets: Path
) -> None:
    plans = [
        project.plan({"!data": {**FOLDER["!data"], "image_size": 8, **changes}})
        for changes in ({}, {"resize": "crop"}, {"filter": "nearest"}, {"background": "black"})
    ]
    assert len({planned.stage("prepare")[0].key for planned in plans}) == len(plans)


def test_a_kept_plan_looks_at_nothing_anew(
    project: Project, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = project.plan(FOLDER)
    monkeypatch.setattr(loading, "_made", None)
    monkeypatch.setattr(looking, "card_of", None)
    assert project.plan(FOLDER) == before


def test_a_missing_folder_is_refused_with_its_key(project: Project) -> None:
    missing = f"data.path: pets: not found in {project.raw} (DISTILLERY_DATA is not set)"
    assert project.mistake(FOLDER) == missing
    more = {"datasets": {"more": FOLDER["!data"]}}
    assert project.mistake(more) == missing.replace("data.path", "datasets.more.path", 1)


def test_a_finished_experiment_is_planned_without_its_raw_files(
    project: Project, pets: Path
) -> None:
    before = project.plan({**FOLDER, **METHODS})
    project.make(before, before.stage("split")[0])
    shutil.rmtree(pets)
    after = project.plan({**FOLDER, **METHODS})
    assert keys(after) == keys(before)
    assert after.notes[0] == (
        "data: its raw files are not here; those count from which it was prepared last"
    )


def test_a_set_that_is_downloaded_is_planned_before(project: Project) -> None:
    assert project.plan({"!data": {"source": "cifar100"}}).notes == (
        "data: its raw files are not here yet",
    )


def test_a_prepared_run_refuses_other_contents_than_its_key_stands_for(
    project: Project, pets: Path
) -> None:
    planned = project.plan(FOLDER)
    (pets / "train" / "cat" / "0.png").write_bytes((pets / "train/cat/1.png").read_bytes())
    with pytest.raises(UserError, match="pets: is not what the plan was made for, it has changed"):
        project.make(planned, planned.stage("prepare")[0])


def test_a_checkpoint_is_looked_for_when_the_plan_is_made(project: Project) -> None:
    checkpoint = project.outside("x.pth")
    changes = {"teachers": {"t": {"checkpoint": checkpoint}}}
    project.plan(changes)
    (project.raw / "x.pth").write_bytes(b"other")
    assert project.mistake(changes).startswith("teachers.t.checkpoint.sha256: that of ")
    (project.raw / "x.pth").unlink()
    assert project.mistake(changes).startswith("teachers.t.checkpoint.file: x.pth: not found in ")


def test_defaults_are_fitted_to_small_sets_and_that_is_said(project: Project, pets: Path) -> None:
    few = {"representation": {}, "tsne": {}, "deployment": {}}
    planned = project.plan({**FOLDER, "methods": {"crd": {}, "wcord": {}}, "protocols": few})
    options = {
        row.method: planned.runs[row.run].settings["options"]
        for row in planned.rows
        if row.table == "main"
    }
    # Of 12 training images 6 are of the other class, and there are 6 test images.
    assert [options[name]["negatives"] for name in ("crd", "wcord")] == [6, 6]
    assert "methods.crd.options.negatives: 6 in place of 16384, all that the images allow" in (
        planned.notes
    )
    evaluations = {
        run.settings["protocol"]: run.settings["options"] for run in planned.stage("evaluate")
    }
    assert evaluations["representation"]["neighbours"] == 5
    assert evaluations["tsne"]["perplexity"] == 5
    assert evaluations["deployment"]["calibration_images"] == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"methods": {"crd": {"options": {"negatives": 7}}}},
            "methods.crd.options.negatives: found 7; there are too few images for it "
            "(allowed: 1 to 6)",
        ),
        (
            {
                "methods": {"crd": {"options": {"negatives": 7}}},
                "tuning": {"pair": "p", "methods": {"crd": {"vary": {"weights": {"kd": [0, 1]}}}}},
            },
            "methods.crd.options.negatives: found 7;",
        ),
        (
            {"methods": {"wcord": {"options": {"negatives": 7}}}},
            "methods.wcord.options.negatives: found 7;",
        ),
        (
            {"protocols": {"representation": {"options": {"neighbours": 6}}}},
            "protocols.representation.options.neighbours: found 6;",
        ),
        (
            {"protocols": {"deployment": {"options": {"calibration_images": 13}}}},
            "protocols.deployment.options.calibration_images: found 13;",
        ),
        (
            {"protocols": {"few-shot": {"options": {"fractions": [0.01]}}}},
            "protocols.few-shot.vary.split: a fraction of 0.01 leaves a class empty",
        ),
        (
            {"data": {"split": {"per_class": 7}}},
            "data.split: 7 images of each class wanted, but the smallest class has 6 training",
        ),
        ({"training": {"batch_size": 14, "instances": 7}}, "training.instances: found 7; a batch"),
    ],
)
def test_what_the_images_do_not_allow_is_refused_when_the_plan_is_made(
    project: Project, pets: Path, changes: dict[str, Any], message: str
) -> None:
    base = {"source": "image-folder", "path": "pets", **changes.get("data", {})}
    training = {**FOLDER["training"], **changes.get("training", {})}
    found = project.mistake({**changes, "!data": base, "training": training})
    assert found.startswith(message)


def test_crd_is_fitted_to_what_a_split_leaves(project: Project) -> None:
    planned = project.plan(METHODS)
    (row,) = [row for row in planned.rows if row.method == "crd"]
    # 8 images of each of ten classes.
    assert planned.runs[row.run].settings["options"]["negatives"] == 72
