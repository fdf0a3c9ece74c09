"""The table of stages: where their runs live, what computes them, and what that takes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from distillery.core.settings import FrozenModel
from distillery.runs.produce import produce
from distillery.runs.run import Run


@dataclass(frozen=True)
class Stage:
    """A kind of run.

    Attributes:
        name: what ``distillery plan`` calls it.
        folder: folder below ``data/``, one for each DVC stage.
        module: module with the class ``Settings`` and the function ``run(work)``.
        doing: what its jobs say that they do.
        memory_mb: memory of a job, in MiB.
        runtime: time limit of a job, in minutes.
        gpu: whether a job computes on an accelerator where there is one.
        trains: whether a job has the threads of a training run; otherwise it has one.
    """

    name: str
    folder: str
    module: str
    doing: str
    memory_mb: int
    runtime: int
    gpu: bool = False
    trains: bool = False

    @property
    def rule(self) -> str:
        """Name of the stage's Snakemake rule."""
        return self.name.replace("-", "_")

    def settings_class(self) -> type[FrozenModel]:
        """Import the stage's module and return the class of its settings."""
        found: type[FrozenModel] = importlib.import_module(self.module).Settings
        return found


# Inputs come before what reads them.
STAGES = {
    stage.name: stage
    for stage in (
        Stage("prepare", "prepared", "distillery.data.prepare", "preparing", 4000, 120),
        Stage("split", "prepared", "distillery.data.split", "splitting", 2000, 30),
        Stage(
            "train-teacher",
            "teachers",
            "distillery.training.teacher",
            "training",
            8000,
            1440,
            gpu=True,
            trains=True,
        ),
        Stage(
            "import-teacher",
            "teachers",
            "distillery.training.imported",
            "importing",
            4000,
            60,
            gpu=True,
        ),
        Stage(
            "embed",
            "embeddings",
            "distillery.embeddings.embed",
            "caching",
            8000,
            720,
            gpu=True,
            trains=True,
        ),
        Stage(
            "trial",
            "students",
            "distillery.training.trial",
            "trying",
            8000,
            1440,
            gpu=True,
            trains=True,
        ),
        Stage("select", "students", "distillery.training.selection", "selecting", 2000, 30),
        Stage(
            "train-student",
            "students",
            "distillery.training.student",
            "distilling",
            8000,
            1440,
            gpu=True,
            trains=True,
        ),
        Stage(
            "extract",
            "evaluations",
            "distillery.embeddings.extract",
            "extracting",
            4000,
            120,
            gpu=True,
        ),
        Stage(
            "evaluate",
            "evaluations",
            "distillery.evaluation.evaluate",
            "evaluating",
            4000,
            120,
            gpu=True,
        ),
        Stage(
            "collect", "evaluations", "distillery.reporting.results.collect", "collecting", 4000, 30
        ),
    )
}


def execute(data: Path, run: Run) -> Path:
    """Compute a run unless it is there, and return its directory."""
    return produce(data, run, importlib.import_module(STAGES[run.stage].module).run)
