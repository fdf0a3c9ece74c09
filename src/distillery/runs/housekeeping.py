"""Looking after what is on disk: verifying, adopting and removing runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from distillery.core.errors import DamagedArtifact, UserError
from distillery.planning import plan
from distillery.runs import artifacts
from distillery.runs.artifacts import Artifact, Run

# Files of params/ that describe no experiment of their own.
_NOT_EXPERIMENTS = {"methods.yaml"}


def verify(data: Path) -> tuple[int, list[str]]:
    """Check every published run; return how many were checked and what is wrong."""
    problems: list[str] = []
    paths = list(artifacts.published(data))
    for path in paths:
        try:
            problems += Artifact(path).problems()
        except DamagedArtifact as error:
            problems.append(str(error))
    return len(paths), problems


def adopt(planned: plan.Plan, data: Path, *, dry_run: bool = False) -> list[tuple[str, str]]:
    """Re-key existing runs to the present code.

    A run is adopted when it has the stage and settings of a planned one and was made from the same
    inputs, where an adopted input counts as the one that it came from.

    Returns:
        Old and new location of every adopted run, inputs first.
    """
    by_identity: dict[str, list[tuple[Path, dict[str, str]]]] = {}
    for path in artifacts.published(data):
        manifest = Artifact(path).manifest
        identity = _without_code(manifest["stage"], manifest["settings"])
        by_identity.setdefault(identity, []).append((path, manifest["inputs"]))
    equivalent: dict[str, set[str]] = {}
    adopted = []
    for run in planned.runs.values():
        equivalent[run.location] = {run.location, *_ancestors(data / run.location)}
        if artifacts.is_complete(data / run.location):
            continue
        for path, inputs in by_identity.get(_without_code(run.stage, run.settings), []):
            if _same_inputs(run, inputs, equivalent):
                location = path.relative_to(data).as_posix()
                adopted.append((location, run.location))
                equivalent[run.location].add(location)
                if not dry_run:
                    artifacts.adopt(data, path, run)
                break
    return adopted


def unwanted(files: Iterable[Path], data: Path) -> list[tuple[Path, int]]:
    """Return published runs that none of the params files wants, with their size in bytes.

    Raises:
        UserError: there is no params file, so that everything would be unwanted.
    """
    experiments = [file for file in files if file.name not in _NOT_EXPERIMENTS]
    if not experiments:
        raise UserError("no params file names the runs to keep")
    wanted = {location for file in experiments for location in plan.load(file, data).runs}
    found = []
    for path in artifacts.published(data):
        if path.relative_to(data).as_posix() not in wanted:
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found.append((path, size))
    return found


def remove(path: Path) -> None:
    """Remove a run: its manifest first, so that a half-removed run does not look complete."""
    (path / artifacts.MANIFEST).unlink()
    shutil.rmtree(path)


def _without_code(stage: str, settings: object) -> str:
    return json.dumps([stage, settings], sort_keys=True)


def _ancestors(path: Path) -> set[str]:
    """Return the locations that a run was adopted from, one after the other."""
    if not artifacts.is_complete(path):
        return set()
    history = Artifact(path).manifest["adopted_from"]
    stem = f"{path.parent.name}/{path.name[: -artifacts.KEY_LENGTH]}"
    return {f"{stem}{ancestor['key']}" for ancestor in history}


def _same_inputs(run: Run, inputs: dict[str, str], equivalent: dict[str, set[str]]) -> bool:
    return run.inputs.keys() == inputs.keys() and all(
        inputs[name] in equivalent[location] for name, location in run.inputs.items()
    )
