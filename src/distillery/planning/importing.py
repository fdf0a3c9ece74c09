"""Importing a checkpoint from the command line: what a params file would plan, done now."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery.core.errors import DistilleryError, UserError
from distillery.models import registry
from distillery.planning.plan import Plan
from distillery.runs.artifacts import Artifact, Run, checksum
from distillery.runs.fingerprint import fingerprint
from distillery.runs.stages import STAGES, execute, module_of
from distillery.training.imported import read_state


def import_checkpoint(file: Path, arch: str, plan: Plan, data: Path) -> tuple[Run, float]:
    """Import ``file`` for the data set of ``plan``; return the run and its accuracy in percent.

    The file is copied to ``data/raw``, so that the workflow finds it again. When another file has
    its name there, as with the checkpoints of RepDistiller, which share one, the copy gets a name
    with the checksum.

    Raises:
        UserError: no such file or architecture, or not a checkpoint of it.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    family = registry.module_of(arch)
    read_state(file)
    digest = checksum(file)
    kept = data / "raw" / file.name
    if kept.exists() and checksum(kept) != digest:
        kept = kept.with_name(f"{file.stem}-{digest[:8]}{file.suffix}")
    is_new = not kept.exists()
    if is_new:
        _copy(file, kept)
    prepared = plan.stage("prepare")[0]
    settings = {"arch": arch, "file": kept.name, "sha256": digest}
    run = imported_run(prepared, settings, family)
    try:
        execute(data, prepared)
        path = execute(data, run)
    except DistilleryError:
        if is_new:
            kept.unlink()
        raise
    return run, float(Artifact(path).json("metrics.json")["test_top1"])


def _copy(file: Path, target: Path) -> None:
    """Copy a file so that it appears complete or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.copyfile(file, temporary)
    temporary.replace(target)


def imported_run(prepared: Run, settings: Mapping[str, Any], family: str) -> Run:
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
