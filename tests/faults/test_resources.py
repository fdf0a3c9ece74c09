"""Without room, rights, memory or files: a line, nothing half-published, and then the same bits."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from campaign import Campaigns
from processes import Command
from project import Project
from undisturbed import Undisturbed, accepted, always_checkpoint, full, scratch, train
from whole import PARAMS, Whole

import distillery
from distillery.models import predictions
from distillery.runs import produce, stages
from distillery.runs.artifact import Artifact, published
from distillery.runs.run import Run
from distillery.training import checkpoint, loop
from distillery.training import run as training_run


@pytest.mark.parametrize("calls", [1, 4])
def test_no_space_for_a_checkpoint(
    undisturbed: Undisturbed, copy: Project, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    run, save, left = undisturbed.run, torch.save, [calls]

    def limited(state: Any, file: Any) -> None:
        left[0] -= 1
        if not left[0]:
            file.write(b"half")
            full()
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
    full()


@pytest.mark.parametrize(
    ("module", "name", "stand_in"),
    [
        (training_run, "save_network", full),
        (predictions, "write", _half_written),
        (produce.Workspace, "write_json", full),
        (produce, "write_atomically", full),
        (produce, "fsync", full),
        (Path, "replace", full),
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


# Real disks, rights and limits


class Disk:
    """A file system of its own, in memory, with a copy of the project that lacks some runs."""

    def __init__(self, whole: Whole, at: Path, without: Sequence[str]) -> None:
        at.mkdir()
        self.at, self.folder = at, at / "project"
        self._mount("size=64m")
        shutil.copytree(whole.folder / "data" / "raw", self.folder / "data" / "raw")
        shutil.copy(whole.folder / PARAMS, self.folder)
        shutil.copytree(whole.folder / "data" / ".cache", self.folder / "data" / ".cache")
        for location in whole.planned.runs:
            if location not in without:
                shutil.copytree(whole.folder / "data" / location, self.folder / "data" / location)

    def leave(self, free: int) -> None:
        """Make the disk so small that so many bytes are free, to the next page."""
        used = shutil.disk_usage(self.at).used
        self._mount(f"remount,size={used + free}")

    def grow(self) -> None:
        self._mount("remount,size=64m,rw")

    def forbid_writing(self) -> None:
        self._mount("remount,ro")

    def remove(self) -> None:
        subprocess.run(["umount", str(self.at)], check=True)

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.at)]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(whole: Whole, tmp_path: Path) -> Iterator[Callable[[Sequence[str]], Disk]]:
    disks: list[Disk] = []

    def made(without: Sequence[str]) -> Disk:
        try:
            disks.append(Disk(whole, tmp_path / f"disk {len(disks)}", without))
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no file system can be mounted here: {error}")
        return disks[-1]

    yield made
    for each in disks:
        each.remove()


def of_run(folder: Path, run: Run, log: Path, before: Callable[[], Any] | None = None) -> Command:
    """Start `distillery run`, whose log is not on the disk in question."""
    log.mkdir(exist_ok=True)
    words = ("--params", PARAMS, "--data", "data")
    return Command(folder, "run", run.name, *words, before=before, log=log)


def refusal_of(command: Command) -> str:
    """Return the one line that a command ends with, and demand its exit status."""
    status = command.status()
    said = command.output()
    lines = [line for line in said.splitlines() if line.startswith("distillery: ")]
    assert status in (1, 2, 3), said
    assert "Traceback" not in said, said
    assert len(lines) == 1, said
    return lines[0]


def nothing_half_made(folder: Path) -> None:
    for path in published(folder / "data"):
        assert Artifact(path).problems() == []


def some_runs(whole: Whole) -> list[Run]:
    """Return a run of each stage, those that others read first."""
    return [whole.planned.stage(name)[0] for name in stages.STAGES if whole.planned.stage(name)]


@pytest.mark.slow
def test_a_really_full_disk(
    whole: Whole,
    campaign: Campaigns,
    disk: Callable[[Sequence[str]], Disk],
    tmp_path: Path,
) -> None:
    draw = Random(0)
    with campaign("A really full disk") as tally:
        for run, number in zip(
            itertools.cycle(some_runs(whole)), range(tally.of(33)), strict=False
        ):
            expected = Artifact(whole.folder / "data" / run.location).manifest["files"]
            small = disk([run.location])
            size = sum(each["size"] for each in expected.values())
            small.leave(draw.randrange(size))
            log = tmp_path / f"log {number}"
            line = refusal_of(of_run(small.folder, run, log, always_checkpoint))
            assert "No space left" in line or "are free: make room" in line, line
            nothing_half_made(small.folder)
            small.grow()
            again = of_run(small.folder, run, log)
            assert again.status() == 0, again.output()
            assert Artifact(small.folder / "data" / run.location).manifest["files"] == expected
            tally.count(run.stage, "one line, then the same bits")


@pytest.mark.slow
def test_a_read_only_disk_and_folders_of_others(
    whole: Whole,
    campaign: Campaigns,
    disk: Callable[[Sequence[str]], Disk],
    tmp_path: Path,
) -> None:
    with campaign("Read-only disk, no permission") as tally:
        for number, run in enumerate(some_runs(whole)[: tally.of(11)]):
            locked = disk([run.location])
            if others_can_import():
                line = refusal_of(of_run(locked.folder, run, tmp_path / f"{number}", nobody))
                assert "Permission denied" in line, line
                tally.count("no permission", "one line")
            locked.forbid_writing()
            line = refusal_of(of_run(locked.folder, run, tmp_path / f"{number}"))
            assert "Read-only file system" in line, line
            tally.count("read-only", "one line")
            locked.grow()
            nothing_half_made(locked.folder)


def others_can_import() -> bool:
    """Tell whether Python and this project lie in folders that other users may enter."""
    folders = {*Path(os.__file__).parents, *Path(distillery.__file__).parents}
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def nobody() -> None:
    """Go on as a user who owns nothing."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def limit_memory(more: int) -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    used = 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmSize:")))
    resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))


def limit_files(more: int) -> None:
    used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + more, used + more))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "limit", "most"),
    [("Too little memory", limit_memory, 2**26), ("Too many open files", limit_files, 8)],
)
def test_too_little_memory_and_too_many_files(
    whole: Whole,
    campaign: Campaigns,
    tmp_path: Path,
    title: str,
    limit: Callable[[int], None],
    most: int,
) -> None:
    draw = Random(0)
    with campaign(title) as tally:
        for run, number in zip(
            itertools.cycle(some_runs(whole)), range(tally.of(22)), strict=False
        ):
            folder = whole.copy(tmp_path / f"{number}", [run.location])
            command = of_run(folder, run, folder, partial(limit, draw.randrange(most)))
            if command.status():
                refusal_of(command)
            nothing_half_made(folder)
            tally.count(run.stage, "one line" if command.status() else "enough, made")
            with chdir(folder):
                made = Artifact(stages.execute(Path("data"), run))
            expected = Artifact(whole.folder / "data" / run.location).manifest["files"]
            assert made.manifest["files"] == expected
