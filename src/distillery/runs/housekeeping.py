"""Looking after what is on disk: verifying runs and removing them."""

from __future__ import annotations

import shutil
from collections.abc import Container
from pathlib import Path

from distillery.core.errors import DamagedArtifact
from distillery.runs.artifact import MANIFEST, Artifact, published
from distillery.runs.outdated import Outdated
from distillery.runs.run import key_in


def verify(data: Path) -> tuple[int, list[str]]:
    """Check every published run; return how many were checked and what is wrong."""
    problems: list[str] = []
    paths, outdated = list(published(data)), Outdated(data)
    for path in paths:
        try:
            artifact = Artifact(path)
            problems += artifact.problems()
            problems += [
                f"{path}: was made of other contents than {source} has now; "
                "the next call of snakemake makes it anew"
                for source in outdated.changed_for(artifact.manifest)
            ]
        except DamagedArtifact as error:
            problems.append(str(error))
    return len(paths), problems


def unwanted(wanted: Container[str], data: Path) -> list[tuple[Path, int]]:
    """Return published runs that have none of the wanted keys, with their size in bytes."""
    found = []
    for path in published(data):
        if key_in(path.name) not in wanted:
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found.append((path, size))
    return found


def remove(path: Path) -> None:
    """Remove a run: its manifest first, so that a half-removed run does not look complete."""
    (path / MANIFEST).unlink()
    shutil.rmtree(path)
