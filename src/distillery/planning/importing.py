"""Importing a checkpoint from the command line: what a params file would plan, done now."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from distillery.core.errors import DistilleryError, UserError
from distillery.core.files import atomic_writer, checksum
from distillery.experiment.teachers import Teacher
from distillery.experiment.wording import explain
from distillery.models import registry
from distillery.models.naming import short, source_of
from distillery.planning.plan import Plan
from distillery.planning.runs import imported_run
from distillery.runs.artifact import Artifact
from distillery.runs.produce import RAW
from distillery.runs.run import Run
from distillery.runs.stages import execute
from distillery.training import foreign
from distillery.training.imported import Settings


def import_checkpoint(
    file: Path,
    arch: str,
    plan: Plan,
    data: Path,
    *,
    normalisation: str | None = None,
    at_chance: bool = False,
) -> tuple[Run, float]:
    """Import ``file`` for the data set of ``plan``; return the run and its accuracy in percent.

    The file is copied to ``data/raw``, so that the workflow finds it again. When another file has
    its name there, as with the checkpoints of RepDistiller, which share one, the copy gets a name
    with the checksum.

    Args:
        file: the checkpoint.
        arch: its architecture.
        plan: of an experiment on its data set.
        data: the data folder.
        normalisation: what it saw pixels normalised with: a name, or means and deviations.
        at_chance: whether it is taken if it answers no better than chance.

    Raises:
        UserError: no such file or architecture, or not a checkpoint of it.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    registry.require(arch)
    teacher = _teacher(arch, file, normalisation)
    # Before anything is copied: messages name the user's own file.
    foreign.read(file)
    digest = checksum(file)
    kept = data / RAW / file.name
    if kept.exists() and checksum(kept) != digest:
        kept = kept.with_name(f"{file.stem}-{digest[:8]}{file.suffix}")
    is_new = not kept.exists()
    if is_new:
        _copy(file, kept)
    prepared = plan.stage("prepare")[0]
    planned = Settings(
        arch=arch,
        file=kept.name,
        sha256=digest,
        source=source_of(arch),
        normalisation=teacher.own_normalisation,
        at_chance=at_chance,
    )
    run = imported_run(arch, prepared, planned)
    try:
        execute(data, prepared)
        path = execute(data, run)
    except DistilleryError as error:
        if is_new:
            kept.unlink()
            # The copy is gone: messages name the user's own file.
            error.args = (str(error).replace(str(kept), str(file)),)
        raise
    return run, float(Artifact(path).json("metrics.json")["test_top1"])


def section_of(run: Run, normalisation: str | None = None) -> list[str]:
    """Return the lines of a params file that use an imported teacher.

    Args:
        run: what imported it.
        normalisation: as it was given.
    """
    settings = run.settings
    lines = ["  teachers:", f"    {short(settings['arch'])}:", f"      arch: {settings['arch']}"]
    if normalisation:
        lines.append(f"      normalisation: {json.dumps(_normalisation(normalisation))}")
    lines += ["      checkpoint:", f"        file: {settings['file']}"]
    lines.append(f"        sha256: {settings['sha256']}")
    return [*lines, "        at_chance: true"] if settings["at_chance"] else lines


def _teacher(arch: str, file: Path, normalisation: str | None) -> Teacher:
    """Return what a params file would say of the teacher.

    Raises:
        UserError: the normalisation is none, or is missing where it has to be said.
    """
    try:
        return Teacher.model_validate(
            {
                "arch": arch,
                "checkpoint": {"file": file.name, "sha256": "0" * 64},
                "normalisation": _normalisation(normalisation),
            }
        )
    except ValidationError as error:
        raise UserError(f"--normalisation: {explain(error.errors()[0])}") from None


def _normalisation(given: str | None) -> Any:
    """Return ``0.5,0.4/0.2,0.3`` as means and deviations, and any other name as it is."""
    means, slash, deviations = (given or "").partition("/")
    if not slash:
        return given
    return {"mean": _numbers(means), "std": _numbers(deviations)}


def _numbers(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise UserError(f"--normalisation: found {text}; give a number for each channel") from None


def _copy(file: Path, target: Path) -> None:
    with file.open("rb") as source, atomic_writer(target) as copy:
        shutil.copyfileobj(source, copy)
