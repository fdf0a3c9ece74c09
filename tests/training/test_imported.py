"""Published checkpoints become teachers, and nothing in a file is ever executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from project import Project

from distillery import stages
from distillery.artifacts import Artifact, checksum
from distillery.data.prepared import Card, load
from distillery.errors import UserError
from distillery.inference import predict
from distillery.models import registry
from distillery.models.weights import load_network
from distillery.plan import Plan
from distillery.training import importing


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return registry.build("resnet8", num_classes=10, in_channels=1)


def containers(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "RepDistiller": {"epoch": 240, "model": state, "best_acc": torch.tensor(70.0)},
        "mdistiller": {"model": state, "epoch": 240, "best_acc": 70.0},
        "state_dict": {"state_dict": state},
        "DataParallel": {f"module.{name}": tensor for name, tensor in state.items()},
    }


def with_checkpoint(project: Project, path: Path, digest: str | None = None) -> Plan:
    checkpoint = {"file": path.name, "sha256": digest or checksum(path)}
    return project.plan(
        {"!teachers": {"t": {"arch": "resnet8", "checkpoint": checkpoint}}, "!methods": {"kd": {}}}
    )


def in_raw(project: Project, content: Any, name: str = "net.pth") -> Path:
    path = project.data / "raw" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize("container", containers({}))
def test_a_checkpoint_serves_as_teacher(project: Project, container: str) -> None:
    original = network()
    path = in_raw(project, containers(original.state_dict())[container])
    planned = with_checkpoint(project, path)
    teacher = project.make(planned, planned.stage("import-teacher")[0])
    prepared = Artifact(project.data / teacher.manifest["inputs"]["prepared"])
    card = Card.load(prepared)
    loaded = load_network(teacher, card)
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    found = predict(loaded, load(prepared, "test"), card)
    accuracy = 100 * (found.logits.argmax(axis=1) == found.labels).mean()
    assert teacher.json("metrics.json")["test_top1"] == pytest.approx(accuracy)
    assert teacher.manifest["record"]["origin"] == {"file": "net.pth", "sha256": checksum(path)}
    student = project.make(planned, planned.stage("train-student")[0])
    assert student.json("metrics.json")["epochs"] == 3


def test_the_command_copies_checks_and_plans_the_same_run(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "downloads" / "net.pth"
    source.parent.mkdir()
    torch.save({"model": network().state_dict()}, source)
    run, accuracy = importing.import_checkpoint(source, "resnet8", project.plan(), project.data)
    assert 0 <= accuracy <= 100
    planned = with_checkpoint(project, project.data / "raw" / "net.pth")
    assert planned.stage("import-teacher")[0].location == run.location


class Malicious:
    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"model": Malicious()}), "not a checkpoint of weights alone"),
        (b"PK\x03\x04 not really", "not a readable checkpoint"),
        (b"", "not a readable checkpoint"),
        ({"model": {"conv1.weight": "text"}}, "holds no weights"),
        ({"model": {}}, "has no weight 'conv1.weight'"),
    ],
    ids=["malicious", "broken", "empty", "no tensors", "no weights"],
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_what_is_no_checkpoint_is_refused_in_one_line(
    project: Project, content: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    planned = with_checkpoint(project, in_raw(project, content))
    with pytest.raises(UserError, match=message) as error:
        project.make(planned, planned.stage("import-teacher")[0])
    assert "\n" not in str(error.value)
    assert not (project.folder / "executed").exists()


def test_another_architecture_or_checksum_is_refused(project: Project) -> None:
    path = in_raw(project, {"model": registry.build("resnet14", num_classes=10).state_dict()})
    planned = with_checkpoint(project, path)
    with pytest.raises(UserError, match=r"is the architecture right|has shape"):
        project.make(planned, planned.stage("import-teacher")[0])
    planned = with_checkpoint(project, path, digest="0" * 64)
    with pytest.raises(UserError, match=r"sha256 is [0-9a-f]{64}, not 0{64}"):
        stages.execute(project.data, planned.stage("import-teacher")[0])
