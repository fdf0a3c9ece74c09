"""Whatever happens to a run, it ends with the bits of an undisturbed one, or says what is wrong."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import Command
from project import Project

from distillery.core.errors import DamagedArtifact
from distillery.models import predictions
from distillery.planning.plan import Plan
from distillery.runs import produce, stages
from distillery.runs.artifact import MANIFEST, Artifact, published
from distillery.runs.run import Run
from distillery.training import checkpoint, loop
from distillery.training import run as training_run

CHANGES = {"!methods": {"crd": {"weights": {"kd": 1}, "options": {"negatives": 32, "dim": 16}}}}
MOMENTS = 6


class Undisturbed:
    """A student that was trained without any trouble, and what it was trained from."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.planned: Plan = project.plan(CHANGES, "faults")
        (self.run,) = self.planned.stage("train-student")
        self.artifact = project.make(self.planned, self.run)
        # How long a command takes, of which the moments of the kills are shares. The second time,
        # since the first command waits for the server.
        for name in ("first", "second"):
            copy = self.copy(project.folder / name)
            started = time.monotonic()
            assert train(copy, self.run, always_checkpoint).status() == 0
            self.seconds = time.monotonic() - started

    @property
    def files(self) -> Any:
        return self.artifact.manifest["files"]

    def copy(self, folder: Path) -> Project:
        """Return a project in which everything but the student has been made."""
        folder.mkdir(exist_ok=True)
        copy = Project(folder)
        # With the plan that the commands will look up.
        copy.plan(CHANGES, "faults")
        for location in self.inputs():
            shutil.copytree(self.project.data / location, copy.data / location)
        return copy

    def inputs(self) -> list[str]:
        """Return the locations of all that the student depends on, in the order of making."""
        needed = set(self.run.inputs.values())
        for location, run in reversed(self.planned.runs.items()):
            needed.update(run.inputs.values() if location in needed else ())
        return [location for location in self.planned.runs if location in needed]


@pytest.fixture(scope="session")
def undisturbed(shared_project: Project) -> Undisturbed:
    return Undisturbed(shared_project)


@pytest.fixture
def copy(undisturbed: Undisturbed, tmp_path: Path) -> Project:
    return undisturbed.copy(tmp_path / "a folder")


def train(project: Project, run: Run, before: Callable[[], Any] | None = None) -> Command:
    params = str(project.folder / "faults.yaml")
    arguments = ("run", run.name, "--params", params, "--data", str(project.data))
    return Command(project.folder, *arguments, before=before)


def scratch(project: Project, run: Run) -> Path:
    return project.data / produce.SCRATCH / run.key


def accepted(project: Project, run: Run) -> bool:
    """Tell whether readers take the run for finished; if so it must be whole."""
    listed = project.data / run.location in published(project.data)
    if listed:
        assert Artifact(project.data / run.location).problems() == []
    return listed


def always_checkpoint() -> None:
    loop._CHECKPOINT_SECONDS = -1.0


# Killed


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_at_any_moment(undisturbed: Undisturbed, copy: Project, moment: int) -> None:
    run = undisturbed.run
    share = (moment + random.Random(moment).random()) / MOMENTS
    first = train(copy, run, always_checkpoint)
    time.sleep(share * undisturbed.seconds)
    first.send(signal.SIGKILL)
    assert first.status() in (-signal.SIGKILL, 0)
    accepted(copy, run)
    again = train(copy, run)
    assert again.status() == 0, again.output()
    assert Artifact(copy.data / run.location).manifest["files"] == undisturbed.files


def _die(*arguments: Any, **options: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_when(module: Any, name: str, condition: Callable[[Any], bool]) -> None:
    """Make a function the last that the process calls with such a first argument."""
    original = getattr(module, name)

    def dying(first: Any, *others: Any, **options: Any) -> Any:
        if condition(first):
            _die()
        return original(first, *others, **options)

    setattr(module, name, dying)


def in_the_first_checkpoint() -> None:
    always_checkpoint()
    save = torch.save

    def half(state: Any, file: Any) -> None:
        save(state, file)
        file.truncate(file.tell() // 2)
        file.flush()
        _die()

    torch.save = half


def in_a_later_checkpoint() -> None:
    always_checkpoint()
    save, calls = torch.save, []

    def fifth(state: Any, file: Any) -> None:
        calls.append(1)
        if len(calls) == 5:
            file.write(b"half")
            file.flush()
            _die()
        save(state, file)

    torch.save = fifth


def before_a_checkpoint_takes_its_name() -> None:
    always_checkpoint()
    _die_when(Path, "replace", lambda path: path.name.startswith(".checkpoint.pt."))


def before_the_predictions() -> None:
    predictions.write = _die


def before_the_manifest() -> None:
    _die_when(produce, "write_atomically", lambda path: path.name == MANIFEST)


def before_the_manifest_takes_its_name() -> None:
    _die_when(Path, "replace", lambda path: path.name.startswith(".manifest.json"))


def before_the_folder_takes_its_name() -> None:
    _die_when(Path, "replace", lambda path: path.name == "out")


def before_the_scratch_is_removed() -> None:
    _die_when(shutil, "rmtree", lambda path: Path(path).parent.name == produce.SCRATCH)


@pytest.mark.parametrize(
    ("before", "is_complete"),
    [
        (in_the_first_checkpoint, False),
        (in_a_later_checkpoint, False),
        (before_a_checkpoint_takes_its_name, False),
        (before_the_predictions, False),
        (before_the_manifest, False),
        (before_the_manifest_takes_its_name, False),
        (before_the_folder_takes_its_name, False),
        (before_the_scratch_is_removed, True),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_killed_at_the_worst_moments(
    undisturbed: Undisturbed, copy: Project, before: Callable[[], None], is_complete: bool
) -> None:
    run = undisturbed.run
    assert train(copy, run, before).status() == -signal.SIGKILL
    assert accepted(copy, run) == is_complete
    again = train(copy, run)
    assert again.status() == 0, again.output()
    assert Artifact(copy.data / run.location).manifest["files"] == undisturbed.files
    assert Artifact(copy.data / run.location).problems() == []


# Out of space


def _full(*arguments: Any, **options: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("calls", [1, 4])
def test_no_space_for_a_checkpoint(
    undisturbed: Undisturbed, copy: Project, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    run, save, left = undisturbed.run, torch.save, [calls]

    def limited(state: Any, file: Any) -> None:
        left[0] -= 1
        if not left[0]:
            file.write(b"half")
            _full()
        save(state, file)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "_CHECKPOINT_SECONDS", -1.0)
        patched.setattr(torch, "save", limited)
        with pytest.raises(OSError, match="No space left"):
            stages.execute(copy.data, run)
    assert not accepted(copy, run)
    saved = checkpoint.load(scratch(copy, run))
    assert (saved["state"]["step"] if saved else 0) == calls - 1
    again = Artifact(stages.execute(copy.data, run))
    assert again.manifest["files"] == undisturbed.files


def _half_written(folder: Path, *arguments: Any) -> None:
    (folder / "test.parquet").write_bytes(b"PAR1")
    _full()


@pytest.mark.parametrize(
    ("module", "name", "stand_in"),
    [
        (training_run, "save_network", _full),
        (predictions, "write", _half_written),
        (produce.Workspace, "write_json", _full),
        (produce, "write_atomically", _full),
        (produce, "fsync", _full),
        (Path, "replace", _full),
    ],
)
def test_no_space_for_the_results(
    undisturbed: Undisturbed,
    copy: Project,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    stand_in: Callable[..., None],
) -> None:
    run = undisturbed.run
    with monkeypatch.context() as patched:
        patched.setattr(module, name, stand_in)
        with pytest.raises(OSError, match="No space left"):
            stages.execute(copy.data, run)
    assert not accepted(copy, run)
    again = Artifact(stages.execute(copy.data, run))
    assert again.manifest["files"] == undisturbed.files
    assert again.problems() == []


def read_only() -> None:
    def refuse(path: Path, *arguments: Any, **options: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    Path.mkdir = refuse  # type: ignore[method-assign]


def test_a_read_only_disk_is_an_error_of_one_line(undisturbed: Undisturbed, copy: Project) -> None:
    command = train(copy, undisturbed.run, read_only)
    assert command.status() == 1
    (line,) = command.output().splitlines()
    assert line.startswith("distillery: [Errno 30] Read-only file system: ")


# Damaged


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, empty])
def test_a_damaged_checkpoint_is_named_with_the_remedy(
    undisturbed: Undisturbed,
    copy: Project,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], None],
) -> None:
    run = undisturbed.run
    with monkeypatch.context() as patched:
        patched.setattr(loop, "_CHECKPOINT_SECONDS", -1.0)
        patched.setattr(predictions, "write", _full)
        with pytest.raises(OSError, match="No space left"):
            stages.execute(copy.data, run)
    file = scratch(copy, run) / "checkpoint.pt"
    damage(file)
    before = file.read_bytes()
    for _ in range(2):
        with pytest.raises(DamagedArtifact) as error:
            stages.execute(copy.data, run)
        message = str(error.value)
        assert message.startswith(f"{file}: unreadable (")
        assert message.endswith(f"; delete the folder {file.parent} to begin this run again")
        assert "\n" not in message
        # Whoever wants to rescue something of it can.
        assert file.read_bytes() == before
    shutil.rmtree(file.parent)
    assert Artifact(stages.execute(copy.data, run)).manifest["files"] == undisturbed.files


@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("prepared", "info.json"),
        ("prepared", "train.parquet"),
        ("split", "train.csv"),
        ("embeddings", "cache.json"),
        ("embeddings", "slot-0000.parquet"),
    ],
)
def test_a_damaged_input_is_named_before_training_starts(
    undisturbed: Undisturbed, copy: Project, name: str, file: str, damage: Callable[[Path], None]
) -> None:
    run = undisturbed.run
    path = copy.data / run.inputs[name] / file
    damage(path)
    with pytest.raises(DamagedArtifact) as error:
        stages.execute(copy.data, run)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith(
        f"; delete the folder {path.parent} and run snakemake again to rebuild it"
    )
    assert not accepted(copy, run)
    assert list((scratch(copy, run) / "out").iterdir()) == []


def test_a_damaged_manifest_is_named_before_training_starts(
    undisturbed: Undisturbed, copy: Project
) -> None:
    for name in undisturbed.run.inputs:
        path = copy.data / undisturbed.run.inputs[name] / MANIFEST
        whole = path.read_bytes()
        truncate(path)
        with pytest.raises(DamagedArtifact, match=r"manifest\.json: unreadable .*delete the fol"):
            stages.execute(copy.data, undisturbed.run)
        path.write_bytes(whole)
    assert (
        Artifact(stages.execute(copy.data, undisturbed.run)).manifest["files"] == undisturbed.files
    )


@pytest.mark.parametrize("damage", [truncate, flip])
@pytest.mark.parametrize("stage", ["embed", "evaluate", "train-student"])
def test_damaged_weights_are_named(
    undisturbed: Undisturbed, copy: Project, stage: str, damage: Callable[[Path], None]
) -> None:
    """By whatever runs the teacher: the cache, and a method that needs its feature maps."""
    planned = copy.plan({"!methods": {"at": {}}} if stage == "train-student" else CHANGES, "faults")
    run = planned.stage(stage)[0]
    (teacher,) = planned.stage("train-teacher")
    file = "test.parquet" if stage == "evaluate" else "model.safetensors"
    path = copy.data / teacher.location / file
    damage(path)
    shutil.rmtree(copy.data / run.location, ignore_errors=True)
    with pytest.raises(DamagedArtifact) as error:
        stages.execute(copy.data, run)
    assert str(error.value).startswith(f"{path}: ")
    assert not accepted(copy, run)


# Unusual surroundings


def private() -> None:
    os.umask(0o077)


def test_a_folder_with_spaces_and_private_files(undisturbed: Undisturbed, tmp_path: Path) -> None:
    project = Project(tmp_path / "my own folder, ü")
    project.folder.mkdir()
    project.params(CHANGES, "faults")
    options = ("--params", "faults.yaml", "--data", "data")
    for location in (*undisturbed.inputs(), undisturbed.run.location):
        run = undisturbed.planned.runs[location]
        command = Command(project.folder, "run", run.name, *options, before=private)
        assert command.status() == 0, command.output()
    path = project.data / undisturbed.run.location
    assert Artifact(path).manifest["files"] == undisturbed.files
    readable = [file for file in path.iterdir() if file.stat().st_mode & 0o077]
    assert readable == []
