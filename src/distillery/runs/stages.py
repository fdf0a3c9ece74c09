"""The stages of the workflow: where their runs live and which module computes them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.evaluation import registry as protocols
from distillery.runs.artifacts import Run, produce


@dataclass(frozen=True)
class Stage:
    """A kind of run.

    Attributes:
        folder: folder below ``data/``, one for each DVC stage.
        module: module with the function ``run(work)``; None for evaluations, where the protocol's
            own module has it.
    """

    folder: str
    module: str | None


STAGES = {
    "prepare": Stage("prepared", "distillery.data.prepare"),
    "split": Stage("prepared", "distillery.data.split"),
    "train-teacher": Stage("teachers", "distillery.training.teacher"),
    "import-teacher": Stage("teachers", "distillery.training.imported"),
    "embed": Stage("embeddings", "distillery.embeddings.embed"),
    "train-student": Stage("students", "distillery.training.student"),
    "extract": Stage("evaluations", "distillery.embeddings.extract"),
    "evaluate": Stage("evaluations", None),
    "collect": Stage("evaluations", "distillery.reporting.collect"),
}


def module_of(stage: str, settings: Mapping[str, Any]) -> str:
    """Return the module that computes a run of ``stage`` with these settings."""
    return STAGES[stage].module or protocols.module_of(settings["protocol"])


def execute(data: Path, run: Run) -> Path:
    """Compute a run unless it is there, and return its directory."""
    compute = importlib.import_module(module_of(run.stage, run.settings)).run
    return produce(data, run, compute)
