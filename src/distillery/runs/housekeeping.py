"""Looking after what is on disk: verifying runs and removing them."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterator
from pathlib import Path

from distillery.core.errors import DamagedArtifact
from distillery.runs.artifact import MANIFEST, Artifact, Finished, is_complete, published
from distillery.runs.run import key_in


def verify(data: Path) -> tuple[int, list[str]]:
    """Check every published run; return how many were checked and what is wrong."""
    problems: list[str] = []
    paths, finished = list(published(data)), Finished(data)
    for path in paths:
        try:
            artifact = Artifact(path)
            problems += artifact.problems()
            problems += _outdated(artifact, finished)
        except DamagedArtifact as error:
            problems.append(str(error))
    return len(paths), problems


def _outdated(artifact: Artifact, finished: Finished) -> Iterator[str]:
    """Say which inputs were made again, with other contents, since a run has read them."""
    read = artifact.manifest["record"].get("inputs", {})
    for name, location in artifact.manifest["inputs"].items():
        source = finished.path(location)
        if name in read and is_complete(source) and _contents(source) not in (None, read[name]):
            yield (
                f"{artifact.path}: was made of other contents than {source} has now; remove it to "
                "have it made anew"
            )


def _contents(source: Path) -> str | None:
    """Return the digest of what a run holds; None if its manifest is damaged, as is told of it."""
    try:
        return Artifact(source).contents
    except DamagedArtifact:
        return None


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
