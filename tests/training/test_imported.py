"""Published checkpoints become teachers; whatever else a file may hold is refused unexecuted."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from called import Distillery
from project import Project
from ruamel.yaml import YAML
from safetensors.torch import load_file
from torch import nn

from distillery.core.errors import Diverged, UserError
from distillery.core.files import checksum
from distillery.data.augmentation import normalise
from distillery.data.prepared import DataSetInfo, load
from distillery.models import predictions, registry
from distillery.models.base import Classifier
from distillery.planning.plan import Plan
from distillery.runs.artifact import Artifact, where
from distillery.runs.run import Run
from distillery.training import files, foreign

FILE = "ckpt_epoch_240.pth"


def network(seed: int = 0, arch: str = "resnet8") -> Classifier:
    """A network with other running statistics than a new one has."""
    torch.manual_seed(seed)
    made = registry.build(arch, num_classes=10, in_channels=1)
    made(torch.rand(64, 1, 8, 8))
    return made.eval()


def optimiser(of: nn.Module) -> dict[str, Any]:
    """The state of an optimiser that has done a step."""
    made = torch.optim.SGD(of.parameters(), lr=0.1, momentum=0.9)
    of(torch.rand(2, 1, 8, 8)).logits.sum().backward()
    made.step()
    made.zero_grad()
    return made.state_dict()


def repdistiller(of: Classifier, file: Path) -> None:
    weights = {name: value.clone() for name, value in of.state_dict().items()}
    accuracy, steps = torch.tensor(72.34), optimiser(of)
    content = {"epoch": 240, "model": weights, "accuracy": accuracy, "optimizer": steps}
    # Published in the format of early versions of torch.
    torch.save(content, file, _use_new_zipfile_serialization=False)


def mdistiller(of: Classifier, file: Path) -> None:
    weights = {f"module.{name}": value.clone() for name, value in of.state_dict().items()}
    torch.save({"epoch": 240, "model": weights, "optimizer": optimiser(of), "best_acc": 75.1}, file)


def data_parallel(of: Classifier, file: Path) -> None:
    torch.save({f"module.{name}": value for name, value in of.state_dict().items()}, file)


def state_dict(of: Classifier, file: Path) -> None:
    torch.save({"state_dict": of.state_dict()}, file)


def with_checkpoint(file: Path, arch: str = "resnet8", **changes: Any) -> dict[str, Any]:
    # The networks here are not trained.
    checkpoint = {"file": file.name, "sha256": checksum(file), "at_chance": True, **changes}
    return {"!teachers": {"t": {"arch": arch, "checkpoint": checkpoint}}}


def planned_import(project: Project, changes: dict[str, Any]) -> tuple[Plan, Run]:
    planned = project.plan(changes)
    (run,) = planned.stage("import-teacher")
    return planned, run


def expected_accuracy(prepared: Artifact, of: Classifier) -> float:
    images, info = load(prepared, "test"), DataSetInfo.load(prepared)
    with torch.inference_mode():
        logits = of(normalise(images.images, info.mean, info.std)).logits
    return 100 * (logits.argmax(dim=1) == images.labels).double().mean().item()


@pytest.mark.parametrize("kind", [repdistiller, mdistiller, data_parallel, state_dict])
@pytest.mark.parametrize("place", ["raw", "elsewhere"])
def test_a_published_checkpoint_is_imported(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    kind: Callable[[Classifier, Path], None],
    place: str,
) -> None:
    folder = project.data / "raw" if place == "raw" else project.folder / "elsewhere"
    folder.mkdir(parents=True)
    monkeypatch.setenv("DISTILLERY_DATA", str(project.folder / "elsewhere"))
    kind(network(), folder / FILE)
    planned, run = planned_import(project, with_checkpoint(folder / FILE))
    artifact = project.make(planned, run)
    stored, original = load_file(artifact.file("model.safetensors")), network().state_dict()
    assert stored.keys() == original.keys()
    for name, weight in original.items():
        assert torch.equal(stored[name], weight), name
    prepared = Artifact(project.data / artifact.manifest["inputs"]["prepared"])
    accuracy = expected_accuracy(prepared, network())
    assert artifact.json("metrics.json") == {"test_top1": accuracy}
    told = predictions.read(artifact)
    assert 100 * (told.logits.argmax(axis=1) == told.labels).mean() == accuracy
    origin = {"file": FILE, "sha256": checksum(folder / FILE)}
    assert artifact.manifest["record"]["origin"] == origin


def test_an_imported_teacher_serves_students_from_the_cache_and_live(project: Project) -> None:
    (project.data / "raw").mkdir(parents=True)
    file = project.data / "raw" / FILE
    mdistiller(network(), file)
    changes = {**with_checkpoint(file), "!methods": {"ce": {}, "kd": {}, "at": {}}}
    planned = project.plan({**changes, "training": {"epochs": 1}})
    project.make_all(planned)
    assert not planned.pending(project.data)
    inputs = {
        run.settings["method"]: list(run.inputs.values()) for run in planned.stage("train-student")
    }
    (teacher,), (cache,) = planned.stage("import-teacher"), planned.stage("embed")
    assert cache.inputs["teacher"] == teacher.location
    assert cache.location in inputs["kd"]
    assert teacher.location in inputs["at"]
    row = next(row for row in planned.rows if row.table == "teachers")
    metrics = Artifact(project.data / row.evaluations["classification"]).json("metrics.json")
    own = Artifact(project.data / teacher.location).json("metrics.json")
    assert metrics["top1"] == pytest.approx(own["test_top1"])
    assert metrics["agreement"] == 100


def test_an_imported_teacher_sees_the_channels_that_it_is_for(project: Project) -> None:
    (project.data / "raw").mkdir(parents=True)
    file = project.data / "raw" / FILE
    mdistiller(network(), file)
    changes = with_checkpoint(file)
    changes["!teachers"]["t"]["channels"] = [2]
    planned, run = planned_import(project, {**changes, "data": {"channels": 3}})
    artifact = project.make(planned, run)
    # Grey digits are the same in all three channels.
    prepared = Artifact(project.data / artifact.manifest["inputs"]["prepared"])
    images, info = load(prepared, "test"), DataSetInfo.load(prepared)
    with torch.inference_mode():
        pixels = normalise(images.images[..., 2:], info.mean[2:], info.std[2:])
        expected = network()(pixels).logits
    told = predictions.read(artifact)
    assert np.allclose(told.logits, expected.numpy(), atol=1e-4)


class _Payload:
    """Unpickled by `pickle.load`, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.mark}'",)


def _malicious(file: Path, mark: Path) -> None:
    file.write_bytes(pickle.dumps({"model": _Payload(mark)}, protocol=2))


def _malicious_zip(file: Path, mark: Path) -> None:
    torch.save({"model": network().state_dict(), "opt": _Payload(mark)}, file)


def _whole_module(file: Path, mark: Path) -> None:
    torch.save(network(), file)


def _truncated(file: Path, mark: Path) -> None:
    mdistiller(network(), file)
    file.write_bytes(file.read_bytes()[:-5000])


def _truncated_old(file: Path, mark: Path) -> None:
    repdistiller(network(), file)
    file.write_bytes(file.read_bytes()[:5000])


def _empty(file: Path, mark: Path) -> None:
    file.touch()


def _list(file: Path, mark: Path) -> None:
    torch.save([torch.zeros(2)], file)


def _numbers(file: Path, mark: Path) -> None:
    torch.save({0: torch.zeros(2)}, file)


def _other_arch(file: Path, mark: Path) -> None:
    mdistiller(network(arch="resnet14"), file)


def _other_classes(file: Path, mark: Path) -> None:
    mdistiller(registry.build("resnet8", num_classes=7, in_channels=1), file)


def _lacking(file: Path, mark: Path) -> None:
    weights = network().state_dict()
    del weights["bn1.weight"]
    torch.save(weights, file)


REFUSED = {
    _malicious: "not a checkpoint of weights alone (it holds a posix.system); it is not loaded",
    _malicious_zip: "not a checkpoint of weights alone (it holds a posix.system); it is not",
    _whole_module: "not a checkpoint of weights alone (it holds a distillery.models.resnet.",
    _truncated: "not a readable checkpoint (",
    _truncated_old: "not a readable checkpoint (",
    _empty: "not a readable checkpoint (",
    _list: "holds no weights (allowed: a state dict, or one under 'model', ",
    _numbers: "holds no weights (allowed: a state dict, or one under 'model', ",
    _other_arch: "unknown weight 'module.layer1.1.conv1.weight'; is the architecture right?",
    _other_classes: "'module.fc.weight' has shape (7, 64) instead of (10, 64)",
    _lacking: "has no weight 'bn1.weight'; is the architecture right?",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__.strip("_"))
def test_other_files_are_refused_in_one_line(
    project: Project, make: Callable[[Path, Path], None]
) -> None:
    file, mark = project.folder / FILE, project.folder / "executed"
    make(file, mark)
    (project.data / "raw").mkdir(parents=True)
    kept = project.data / "raw" / FILE
    kept.write_bytes(file.read_bytes())
    planned, run = planned_import(project, with_checkpoint(file))
    with pytest.raises(UserError) as error:
        project.make(planned, run)
    message = str(error.value)
    assert message.startswith(f"{kept}: {REFUSED[make]}")
    assert "\n" not in message
    assert not mark.exists()
    assert not (project.data / run.location).exists()


def test_the_payload_is_no_dud(tmp_path: Path) -> None:
    _malicious(tmp_path / FILE, tmp_path / "executed")
    pickle.loads((tmp_path / FILE).read_bytes())
    assert (tmp_path / "executed").exists()


def test_a_damaged_file_fails_in_no_other_way(tmp_path: Path) -> None:
    """Cut off or with changed bytes at many places, old format and new."""
    some = dict(list(network().state_dict().items())[:4])
    file = tmp_path / FILE
    for zipped in (True, False):
        torch.save({"model": some}, file, _use_new_zipfile_serialization=zipped)
        content = file.read_bytes()
        for place in range(1, len(content), 37):
            changed = bytes([*content[: place - 1], content[place - 1] ^ 0x41, *content[place:]])
            for damaged in (content[:place], changed):
                file.write_bytes(damaged)
                # Some changes hit nothing but a number, which is what checksums are for.
                with contextlib.suppress(UserError):
                    foreign.read(file)


def test_another_file_than_the_params_name_is_refused(project: Project) -> None:
    """When the plan is made; and by the stage, if the file has changed since."""
    (project.data / "raw").mkdir(parents=True)
    file = project.data / "raw" / FILE
    data_parallel(network(), file)
    right = checksum(file)
    said = project.mistake(with_checkpoint(file, sha256="0" * 64))
    assert said == f"teachers.t.checkpoint.sha256: that of {file} is {right}"
    planned, run = planned_import(project, with_checkpoint(file))
    data_parallel(network(seed=1), file)
    with pytest.raises(UserError, match=rf"{FILE}: sha256 is {checksum(file)}, not {right} as"):
        project.make(planned, run)


def test_a_missing_file_is_named_with_the_places_where_it_may_lie(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISTILLERY_DATA", raising=False)
    file = project.folder / FILE
    data_parallel(network(), file)
    said = project.mistake(with_checkpoint(file))
    assert re.match(rf"teachers.t.checkpoint.file: {FILE}: not found in .*raw \(DISTIL", said)


def test_a_network_that_has_seen_the_test_images_is_warned_of(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.data / "raw").mkdir(parents=True)
    file = project.data / "raw" / "cifar10-resnet8.pth"
    state_dict(network(), file)
    monkeypatch.setattr(files, "leakage_warning", lambda source, name: f"{source}: not {name}")
    planned, run = planned_import(project, with_checkpoint(file))
    with pytest.warns(UserWarning, match=r"digits: not cifar10-resnet8\.pth"):
        project.make(planned, run)


@pytest.fixture
def command(project: Project, distillery: Distillery) -> Distillery:
    """Run a command on the tiny experiment in this process."""
    options = ("--params", project.folder / "tiny.yaml", "--data", project.data)
    return lambda *arguments: distillery(*arguments, *options)


def test_the_command_prints_lines_that_use_the_teacher(
    project: Project, command: Distillery
) -> None:
    project.params()
    file = project.folder / FILE
    mdistiller(network(), file)
    found = command("import-teacher", file, "--arch", "resnet8", "--at-chance")
    assert found.status == 0
    first, _, *lines = found.out.splitlines()
    (path,) = (project.data / "teachers").iterdir()
    accuracy = Artifact(path).json("metrics.json")["test_top1"]
    assert first == f"{path}: test top-1 {accuracy:.2f} %"
    teachers = YAML(typ="safe").load("\n".join(lines))["teachers"]
    assert teachers == {
        "resnet8": {
            "arch": "resnet8",
            "checkpoint": {"file": FILE, "sha256": checksum(file), "at_chance": True},
        }
    }
    changes = {"!teachers": teachers, "pairs": {"p": {"teacher": "resnet8"}}}
    planned, run = planned_import(project, changes)
    assert project.data / run.location == path
    assert planned.stage("embed") == []
    # As Snakemake calls it.
    found = command("run", run.name)
    assert found.status == 0
    assert found.out.strip() == str(path)


def test_checkpoints_of_one_name_are_kept_apart(project: Project, command: Distillery) -> None:
    """RepDistiller gives all its checkpoints the same name, each in a folder of its own."""
    project.params()
    for seed in (1, 2, 1):
        file = project.folder / str(seed) / FILE
        file.parent.mkdir(exist_ok=True)
        data_parallel(network(seed), file)
        assert command("import-teacher", file, "--arch", "resnet8", "--at-chance").status == 0
    runs = [Artifact(path) for path in (project.data / "teachers").iterdir()]
    assert len(runs) == 2
    for run in runs:
        kept = project.data / "raw" / run.settings["file"]
        assert checksum(kept) == run.settings["sha256"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["{folder}/none.pth", "--arch", "resnet8"], 2, "none.pth: no such file"),
        (["{folder}/bad.pth", "--arch", "resnet9"], 2, "unknown model 'resnet9'; did you mean"),
        (["{folder}/bad.pth", "--arch", "resnet8"], 2, "bad.pth: not a checkpoint of weights"),
    ],
)
def test_the_command_refuses_in_one_line_and_leaves_nothing(
    project: Project, command: Distillery, arguments: list[str], status: int, message: str
) -> None:
    project.params()
    mark = project.folder / "executed"
    _malicious(project.folder / "bad.pth", mark)
    arguments = [each.format(folder=project.folder) for each in arguments]
    found = command("import-teacher", *arguments)
    assert found.status == status
    assert message in found.error
    assert found.error.count("\n") == 1
    assert not mark.exists()
    assert not list((project.data / "raw").glob("*"))
    assert not (project.data / "teachers").exists()


def test_a_network_of_nan_is_refused_before_anything_is_kept(
    project: Project, command: Distillery
) -> None:
    project.params()
    file, spoilt = project.folder / FILE, network()
    spoilt.head.weight.data[0, 0] = float("nan")
    state_dict(spoilt, file)
    found = command("import-teacher", file, "--arch", "resnet8")
    assert found.status == 2
    assert found.error.startswith(f"distillery: {file}: 'fc.weight' holds NaN")
    assert not list((project.data / "raw").glob("*"))


def test_finite_weights_whose_outputs_are_not_are_refused_by_layer(project: Project) -> None:
    (project.data / "raw").mkdir(parents=True)
    file, spoilt = project.data / "raw" / FILE, network()
    spoilt.head.weight.data.fill_(3e38)
    state_dict(spoilt, file)
    planned, run = planned_import(project, with_checkpoint(file))
    with pytest.raises(Diverged, match=r"as resnet8: its outputs .* first such layer is 'fc'"):
        project.make(planned, run)


def test_what_is_no_better_than_chance_is_refused_unless_it_is_wanted(
    project: Project, command: Distillery
) -> None:
    project.params()
    file, constant = project.folder / FILE, network()
    constant.head.weight.data.zero_()
    constant.head.bias.data[:] = torch.arange(10.0)
    state_dict(constant, file)
    arguments = ["import-teacher", file, "--arch", "resnet8"]
    found = command(*arguments)
    assert found.status == 2
    assert "is no better than chance" in found.error
    assert "are the classes in another order" in found.error
    assert command(*arguments, "--at-chance").status == 0


def test_the_command_takes_a_normalisation_and_prints_it(
    project: Project, command: Distillery
) -> None:
    project.params()
    file = project.folder / FILE
    state_dict(network(), file)
    arguments = ["import-teacher", file, "--arch", "resnet8", "--at-chance"]
    found = command(*arguments, "--normalisation", "0.5/0.25")
    assert found.status == 0
    _, _, *lines = found.out.splitlines()
    (teacher,) = YAML(typ="safe").load("\n".join(lines))["teachers"].values()
    assert teacher["normalisation"] == {"mean": [0.5], "std": [0.25]}
    _, run = planned_import(project, {"!teachers": {"t": teacher}})
    assert where(project.data, run.location).is_dir()
    found = command(*arguments, "--normalisation", "imagnet")
    assert found.status == 2
    assert "did you mean 'imagenet'" in found.error
