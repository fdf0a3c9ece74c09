"""Importing a checkpoint from the command line: what a params file would plan, done now."""

from __future__ import annotations

import shutil
from pathlib import Path

from distillery.core.errors import DistilleryError, UserError
from distillery.core.files import atomic_writer, checksum
from distillery.models import registry
from distillery.planning.plan import Plan
from distillery.planning.runs import imported_run
from distillery.runs.artifact import Artifact
from distillery.runs.produce import RAW
from distillery.runs.run import Run
from distillery.runs.stages import execute
from distillery.training.imported import Settings, read_state


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
    registry.module_of(arch)
    read_state(file)
    digest = checksum(file)
    kept = data / RAW / file.name
    if kept.exists() and checksum(kept) != digest:
        kept = kept.with_name(f"{file.stem}-{digest[:8]}{file.suffix}")
    is_new = not kept.exists()
    if is_new:
        _copy(file, kept)
    prepared = plan.stage("prepare")[0]
    run = imported_run(prepared, Settings(arch=arch, file=kept.name, sha256=digest))
    try:
        execute(data, prepared)
        path = execute(data, run)
    except DistilleryError:
        if is_new:
            kept.unlink()
        raise
    return run, float(Artifact(path).json("metrics.json")["test_top1"])


def _copy(file: Path, target: Path) -> None:
    with file.open("rb") as source, atomic_writer(target) as copy:
        shutil.copyfileobj(source, copy)
