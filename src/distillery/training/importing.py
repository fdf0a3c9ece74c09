"""Importing a checkpoint from the command line: what a params file would plan, done now."""

from __future__ import annotations

import shutil
from pathlib import Path

from distillery.artifacts import Artifact, Run, checksum
from distillery.errors import UserError
from distillery.fingerprint import fingerprint
from distillery.models import registry
from distillery.plan import Plan
from distillery.stages import STAGES, execute, module_of
from distillery.training.imported import read_state


def import_checkpoint(file: Path, arch: str, plan: Plan, data: Path) -> tuple[Run, float]:
    """Import ``file`` for the data set of ``plan``; return the run and its accuracy in percent.

    The file is copied to ``data/raw``, so that the workflow finds it again.

    Raises:
        UserError: no such file or architecture, or not a checkpoint of it.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    family = registry.module_of(arch)
    read_state(file)
    kept = data / "raw" / file.name
    if not kept.exists() or checksum(kept) != checksum(file):
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept)
    prepared = plan.stage("prepare")[0]
    settings = {"arch": arch, "file": file.name, "sha256": checksum(file)}
    run = imported_run(prepared, settings, family)
    execute(data, prepared)
    path = execute(data, run)
    return run, float(Artifact(path).json("metrics.json")["test_top1"])


def imported_run(prepared: Run, settings: dict[str, str], family: str) -> Run:
    """Return the run that imports a checkpoint for a prepared data set."""
    stage = "import-teacher"
    return Run(
        stage=stage,
        folder=STAGES[stage].folder,
        slug=f"{prepared.slug}-{settings['arch']}-imported",
        settings=settings,
        inputs={"prepared": prepared.location},
        code=fingerprint({module_of(stage, settings), family}),
    )
