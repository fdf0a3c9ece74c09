"""Killed at any moment, a run ends with the bits of an undisturbed one when it is started again."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
import torch
from campaign import Campaigns, Tally
from processes import Command, wait_for
from project import Project
from undisturbed import Undisturbed, accepted, always_checkpoint, train
from whole import PAIRED, PARAMS, REPORTS, Whole, bits

from distillery import cli
from distillery.core.errors import Interrupted
from distillery.models import predictions
from distillery.runs import produce
from distillery.runs.artifact import MANIFEST, Artifact, published

MOMENTS = 6


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


# Everything, at random moments


class Target(NamedTuple):
    """A command, and what it makes."""

    title: str
    arguments: tuple[str, ...]
    makes: tuple[str, ...]
    is_training: bool = False
    params: str = PARAMS


def targets(whole: Whole) -> list[Target]:
    """Return a command for each stage, and for each way in which a student may be trained."""

    def of(title: str, stage: str, part: str = "", is_training: bool = False) -> Target:
        run = whole.run(stage, part)
        return Target(title, ("run", run.name), (run.location,), is_training)

    students = [whole.run("train-student", part) for part in ("-kd-", "-crd-", "-fitnet-")]
    names = [run.name for run in students]
    made = tuple(run.location for run in students)
    in_lanes = ("--lanes", "2", "--logs", "logs")
    report = (REPORTS, f".reports/{REPORTS}")
    return [
        of("prepare", "prepare"),
        of("split", "split"),
        of("teacher", "train-teacher", is_training=True),
        of("embed", "embed"),
        of("student, one stage", "train-student", "-kd-", is_training=True),
        of("student, two stages", "train-student", "-fitnet-", is_training=True),
        of("student, memory banks", "train-student", "-crd-", is_training=True),
        Target(
            "batch of students",
            ("run", *names, *in_lanes),
            made,
            is_training=True,
        ),
        of("extract", "extract"),
        of("evaluate", "evaluate"),
        of("collect", "collect"),
        Target("report", ("report",), report),
    ]


def in_two_processes(whole: Whole) -> list[Target]:
    run = whole.make_paired()
    return [Target("student, two processes", ("run", run.name), (run.location,), True, PAIRED)]


class Trial:
    """A target in a copy of the project that lacks what it makes."""

    def __init__(self, whole: Whole, target: Target, folder: Path) -> None:
        self._whole, self._target = whole, target
        self.folder = whole.copy(folder, target.makes)

    @property
    def words(self) -> list[str]:
        """What is typed."""
        return [*self._target.arguments, "--params", self._target.params, "--data", "data"]

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        known = self._whole.seconds
        return 0.5 + sum(known.get(location, 0) for location in self._target.makes)

    def start(self, before: Callable[[], Any] | None = None) -> Command:
        return Command(self.folder, *self.words, before=before)

    @property
    def said(self) -> str:
        """Everything that was printed."""
        return "".join(file.read_text() for file in sorted(self.folder.rglob("*.log")))

    def finish(self) -> None:
        """Give the same command again, here, and demand what an undisturbed one leaves."""
        with (
            chdir(self.folder),
            mock.patch.object(sys, "argv", ["distillery", *self.words]),
            pytest.raises(SystemExit) as end,
        ):
            cli.main()
        assert not end.value.code, (self._target.title, self.said)
        assert bits(self.folder) == bits(self._whole.folder), self._target.title
        assert not list((self.folder / "data" / produce.SCRATCH).glob("*")), self._target.title
        shutil.rmtree(self.folder)


def holders(folder: Path) -> list[int]:
    """Return the processes that hold locks of runs below a folder, as the kernel lists them."""
    files = (folder / "data" / produce.SCRATCH).glob("*/*lock")
    inodes = {str(file.stat().st_ino) for file in files}
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [int(each[4]) for each in locks if each[5].split(":")[-1] in inodes]


def kill_at_random(whole: Whole, chosen: list[Target], tally: Tally, kills: int, at: Path) -> None:
    """Kill the commands themselves, or a run of them that has a process of its own."""
    draw = random.Random(0)
    for number, target in enumerate(itertools.cycle(chosen)):
        trial = Trial(whole, target, at / f"{number}")
        command = trial.start(draw.choice([None, always_checkpoint]))
        time.sleep(draw.random() * trial.seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(draw.choice([command.process.pid, *holders(trial.folder)]), signal.SIGKILL)
        status = command.status()
        # 1: one of its processes was killed, and it says so.
        assert status in (-signal.SIGKILL, 128 + signal.SIGKILL, 1, 0), trial.said
        assert "Traceback" not in trial.said
        for path in published(trial.folder / "data"):
            assert Artifact(path).problems() == []
        trial.finish()
        tally.count(target.title, "same bits afterwards" if status else "had ended before")
        kills -= status != 0
        if not kills:
            return


def end_at_random(
    whole: Whole, chosen: list[Target], tally: Tally, tries: int, at: Path, number: signal.Signals
) -> None:
    """Ask trainings to end, most of them when an epoch is done."""
    draw = random.Random(number)
    for place, target in zip(range(tries), itertools.cycle(chosen), strict=False):
        trial = Trial(whole, target, at / f"{place}")
        command = trial.start()
        if draw.random() < 0.7:
            begun = functools.partial(_has_trained_or_ended, trial, command)
            wait_for(begun, "an epoch")
        time.sleep(draw.random() / 2)
        asked = time.monotonic()
        command.send(number)
        status = command.status()
        assert time.monotonic() - asked < 5, target.title
        assert "Traceback" not in trial.said
        outcome = {
            0: "had ended before",
            Interrupted.exit_code: "checkpoint, clean end",
            130: "ended before the training began",
            -number: "ended before the training began",
        }[status]
        trial.finish()
        tally.count(target.title, f"{outcome}, same bits afterwards" if status else outcome)


def _has_trained_or_ended(trial: Trial, command: Command) -> bool:
    return "train 1/" in trial.said or not command.process.is_alive()


@pytest.mark.slow
def test_every_stage_killed_at_random_moments(
    whole: Whole, campaign: Campaigns, tmp_path: Path
) -> None:
    with campaign("SIGKILL at a random moment") as tally:
        kill_at_random(whole, targets(whole), tally, tally.of(62), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_training_asked_to_end(
    whole: Whole, campaign: Campaigns, tmp_path: Path, number: signal.Signals
) -> None:
    with campaign(f"{number.name} at a random moment") as tally:
        trainings = [each for each in targets(whole) if each.is_training]
        end_at_random(whole, trainings, tally, tally.of(15), tmp_path, number)


@pytest.mark.slow
def test_two_processes_killed_and_asked_to_end(
    whole: Whole, campaign: Campaigns, tmp_path: Path
) -> None:
    with campaign("SIGKILL and SIGTERM, two processes") as tally:
        if tally.of(100) < 20:
            pytest.skip("starting two processes takes half a minute; see tests/training, too")
        chosen = in_two_processes(whole)
        kill_at_random(whole, chosen, tally, tally.of(3), tmp_path / "killed")
        end_at_random(whole, chosen, tally, tally.of(2), tmp_path / "ended", signal.SIGTERM)
