"""Teachers from weights: fine-tuned, probed, and shown what they are used to; exact resumption."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from network_probes import OWN
from project import Project
from safetensors.torch import load_file

from distillery.core.files import checksum
from distillery.data.augmentation import normalise
from distillery.data.checking import problems_of_raw_files
from distillery.data.prepared import DataSetInfo, load
from distillery.models import predictions, registry
from distillery.models.renormalised import renormalised
from distillery.models.weights import save_network
from distillery.runs.artifact import Artifact

HALF = {"mean": [0.5], "std": [0.25]}


def stored(project: Project, classes: int = 4) -> dict[str, str]:
    """Weights of other classes among the raw files."""
    torch.manual_seed(3)
    network = registry.build("resnet8", num_classes=classes, in_channels=1)
    network(torch.rand(64, 1, 8, 8))
    folder = project.data / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "start.safetensors"
    save_network(network, file, [str(number) for number in range(classes)])
    return {"file": file.name, "sha256": checksum(file)}


def teacher(project: Project, **settings: Any) -> Artifact:
    changes = {
        "!teachers": {"t": {"arch": "resnet8", "weights": stored(project), **settings}},
        "training": {"epochs": 1},
    }
    planned = project.plan(changes)
    (run,) = planned.stage("train-teacher")
    return project.make(planned, run)


def changed(project: Project, trained: Artifact) -> set[str]:
    before = load_file(project.data / "raw" / "start.safetensors")
    after = load_file(trained.file("model.safetensors"))
    return {
        name
        for name in after
        if before[name].shape != after[name].shape or not torch.equal(before[name], after[name])
    }


def test_a_probe_trains_the_new_head_alone(project: Project) -> None:
    trained = teacher(project, new_head=True, trains="head")
    assert changed(project, trained) == {"fc.weight", "fc.bias"}
    assert trained.manifest["record"]["origin"]["file"] == "start.safetensors"


def test_weights_that_were_started_from_are_verified(project: Project) -> None:
    trained = teacher(project, new_head=True, trains="head")
    assert problems_of_raw_files(project.data) == []
    file = project.data / "raw" / "start.safetensors"
    file.write_bytes(b"others")
    (problem,) = problems_of_raw_files(project.data)
    assert problem.startswith(f"{file}: has changed since {trained.path} was made of it; put back")


def test_fine_tuning_trains_everything(project: Project) -> None:
    trained = teacher(project, new_head=True, training={"lr": 0.01})
    names = load_file(trained.file("model.safetensors"))
    assert changed(project, trained) == set(names)
    assert trained.settings["training"]["lr"] == 0.01


def test_a_teacher_sees_its_own_normalisation_and_its_student_that_of_the_data(
    project: Project,
) -> None:
    """The cache and a live teacher see it, too: kd reads the one, at runs the other."""
    changes = {
        "!teachers": {"t": {"arch": "resnet8", "normalisation": HALF}},
        "!methods": {"kd": {}, "at": {}},
        "training": {"epochs": 1},
    }
    planned = project.plan(changes)
    project.make_all(planned)
    (run,), (cache,) = planned.stage("train-teacher"), planned.stage("embed")
    trained = Artifact(project.data / run.location)
    assert all(each.settings["normalisation"] is None for each in planned.stage("train-student"))
    network = registry.build("resnet8", num_classes=10, in_channels=1).eval()
    network.load_state_dict(load_file(trained.file("model.safetensors")))
    prepared = Artifact(project.data / run.inputs["prepared"])
    test, info = load(prepared, "test"), DataSetInfo.load(prepared)
    own = info.model_copy(update={name: tuple(value) for name, value in HALF.items()})
    shown = normalise(test.images, own.mean, own.std)
    with torch.inference_mode():
        expected = network(shown).logits
        others = network(normalise(test.images, info.mean, info.std)).logits
        live = renormalised(network, info, own)
        found = live(normalise(test.images, info.mean, info.std)).logits
    told = predictions.read(trained).logits
    assert np.allclose(told, expected.numpy(), atol=1e-4)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(others, expected, atol=1e-2)
    assert Artifact(project.data / cache.location).json("cache.json")["arch"] == "resnet8"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"new_head": True}, "new_head needs `weights`"),
        ({"trains": "head"}, "trains: head needs `weights`"),
        (
            {
                "weights": {"file": "a", "sha256": "0" * 64},
                "checkpoint": {"file": "a", "sha256": "0" * 64},
            },
            "give a `checkpoint` to import or `weights` to train from, not both",
        ),
        (
            {"arch": "imagenet_resnet18", "weights": {"file": "a", "sha256": "0" * 64}},
            "say its normalisation (allowed: imagenet, half, data, or a mean and std)",
        ),
        ({"normalisation": {"mean": [0.5], "std": [0.5, 0.5]}}, "1 means and 2 std"),
        ({"normalisation": "imagenet"}, "it is of 3 channel(s), but the teacher sees 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    project: Project, settings: dict[str, Any], why: str
) -> None:
    assert why in project.mistake({"!teachers": {"t": {"arch": "resnet8", **settings}}})


@pytest.mark.parametrize(
    ("training", "why"),
    [
        ({"optimizer": "adamw", "nesterov": True}, "nesterov is a form of SGD's momentum"),
        ({"beta2": 0.99}, "beta2 is AdamW's"),
        ({"label_smoothing": 1}, "must be below 1"),
        ({"mixup": 0.2}, "training: mixup: there is none: a mixture of two images is no view"),
    ],
)
def test_training_settings_without_effect_are_refused(
    project: Project, training: dict[str, Any], why: str
) -> None:
    assert why in project.mistake({"training": training})


def test_a_method_says_when_the_plan_is_made_what_a_network_lacks(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "nets.py").write_text(OWN)
    monkeypatch.chdir(project.folder)
    changes = {"pairs": {"p": {"student": "nets.py:Net"}}, "!methods": {"ofd": {}}}
    said = project.mistake(changes)
    assert said.startswith("pairs.p: 'ofd' needs maps before their ReLU, behind a BatchNorm, which")
    assert "student nets.py:Net does not give" in said
    planned = project.plan({**changes, "!methods": {"kd": {}, "at": {}}})
    keys = {run.key for run in planned.stage("train-student")}
    assert all(run.settings["source"] for run in planned.stage("train-student"))
    (project.folder / "nets.py").write_text(f"{OWN}\n# edited\n")
    again = project.plan({**changes, "!methods": {"kd": {}, "at": {}}})
    assert not keys & {run.key for run in again.stage("train-student")}
    assert planned.stage("train-teacher") == again.stage("train-teacher")
