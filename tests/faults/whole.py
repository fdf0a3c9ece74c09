"""A small project of which everything has been made, and copies of it to damage."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path
from typing import Any

from project import Project, photos

from distillery.core.files import checksum
from distillery.planning import loading
from distillery.planning.plan import Plan
from distillery.reporting.page import publish
from distillery.runs import stages
from distillery.runs.artifact import MANIFEST, Artifact
from distillery.runs.run import Run

PARAMS, PAIRED = "whole.yaml", "paired.yaml"
REPORTS = "reports"
CHANGES: dict[str, Any] = {
    "!data": {
        "source": "image-folder",
        "path": "pets",
        "augmentation": {"pad": 1},
        "split": {"per_class": 16},
    },
    "datasets": {"toys": {"source": "image-folder", "path": "toys"}},
    "training": {"epochs": 5, "batch_size": 8},
    "!methods": {
        # One that the cache serves, one with memory banks, one in two stages with a live teacher.
        "kd": {},
        "crd": {"options": {"negatives": 8, "dim": 8}},
        "fitnet": {},
    },
    "protocols": {"transfer": {"options": {"data": "toys", "max_iterations": 20}}},
    "tuning": {"pair": "p", "methods": {"kd": {"vary": {"options": {"temperature": [2, 4]}}}}},
    "report": {"folder": REPORTS, "timings": False},
}


class Whole:
    """The project; ``planned`` has its runs, made in ``folder``, with the report beside them.

    ``seconds`` says how long the run of each location took, and the report (``REPORTS``).
    """

    def __init__(self, folder: Path) -> None:
        project = Project(folder)
        photos(project.raw / "pets", train=24, test=6, size=(8, 8))
        photos(project.raw / "toys", train=8, test=6, size=(8, 8), classes=("ball", "car", "doll"))
        project.params(CHANGES, Path(PARAMS).stem)
        self.project, self.folder = project, folder
        with chdir(folder):
            # The paths that commands in copies give, so that these find the plan.
            self.planned: Plan = loading.load(Path(PARAMS), Path("data"))
            self.seconds = {run.location: self._make(run) for run in self.planned.runs.values()}
            began = time.monotonic()
            publish.publish(
                self.planned.report, self.planned.report_key, self.planned.collected, Path("data")
            )
            self.seconds[REPORTS] = time.monotonic() - began

    def _make(self, run: Run) -> float:
        """Make a run, and return how long it took."""
        began = time.monotonic()
        stages.execute(Path("data"), run)
        return time.monotonic() - began

    def make_paired(self) -> Run:
        """Make a student that two processes train, and what it reads; return its run."""
        changes = {
            **CHANGES,
            "compute": {"processes": 2},
            "!methods": {"kd": {}},
            "!protocols": {},
            "!tuning": None,
        }
        self.project.params(changes, Path(PAIRED).stem)
        with chdir(self.folder):
            planned = loading.load(Path(PAIRED), Path("data"))
            (run,) = planned.stage("train-student")
            for location in run.inputs.values():
                self.project.make(planned, planned.runs[location])
            self.seconds[run.location] = self._make(run)
        return run

    def copy(self, folder: Path, without: Iterable[str] = ()) -> Path:
        """Link everything into a folder, without some runs (locations) or the report."""
        left_out = {
            (self.folder / below / name).as_posix() for name in without for below in ("", "data")
        }

        def ignored(parent: str, names: list[str]) -> set[str]:
            return {name for name in names if f"{parent}/{name}" in left_out}

        shutil.copytree(self.folder, folder, ignore=ignored, copy_function=os.link)
        return folder

    def run(self, stage: str, part: str = "") -> Run:
        """Return the first run of a stage whose name has ``part`` in it."""
        return next(run for run in self.planned.stage(stage) if part in run.slug)


def bits(folder: Path) -> dict[str, Any]:
    """Return the checksums of all files of runs and reports, and of nothing that is for speed."""
    found: dict[str, Any] = {
        path.parent.relative_to(folder / "data").as_posix(): Artifact(path.parent).manifest["files"]
        for path in (folder / "data").glob(f"[!.]*/*/{MANIFEST}")
    }
    for path in sorted((folder / REPORTS).rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = checksum(path)
    return found
