"""A student that was trained without any trouble, and copies of what it was trained from."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import Command
from project import Project

from distillery.planning.plan import Plan
from distillery.runs import produce
from distillery.runs.artifact import Artifact, published
from distillery.runs.run import Run
from distillery.training import loop

CHANGES = {"!methods": {"crd": {"weights": {"kd": 1}, "options": {"negatives": 32, "dim": 16}}}}


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


def full(*arguments: Any, **options: Any) -> None:
    """Stand in for what writes to a disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
