"""Compares files from outside with the runs that were made of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from distillery.core.errors import DamagedArtifact, UserError
from distillery.data.contents import contents_of, digest_of, folder_of_raw_files, located
from distillery.data.files import find, roots_of
from distillery.data.looking import preparations
from distillery.data.settings import PrepareSettings, Source
from distillery.runs.artifact import Artifact, published


def problems_of_raw_files(data: Path) -> list[str]:
    """Read all raw files again that are there, and say which are not those that runs were made of.

    What was prepared of earlier contents is none of them as long as the present ones are prepared,
    too. Raw files that are not there are not missed.
    """
    made: dict[str, tuple[Source, list[tuple[Path, str | None]]]] = {}
    for path, source, contents in _prepared(data):
        # The same files may be prepared in several ways.
        place = "|".join((source.source, *source.places))
        made.setdefault(place, (source, []))[1].append((path, contents))
    found = []
    for source, runs in made.values():
        raw = located(source.whereabouts, data)
        if raw is None:
            continue
        try:
            present = contents_of(source.whereabouts, raw, data, afresh=True)
        except UserError as error:
            found.append(str(error))
            continue
        if all(contents != present for _, contents in runs):
            found += [f"{raw}: has changed since {path} was made of it" for path, _ in runs]
    return [*found, *_changed_checkpoints(data)]


def _changed_checkpoints(data: Path) -> Iterator[str]:
    """Say which weights that were imported or trained on are others now."""
    # Several runs may have taken the same file.
    digests: dict[Path, str] = {}
    for path in published(data, "teachers"):
        with contextlib.suppress(DamagedArtifact):
            manifest = Artifact(path).manifest
            is_import = manifest["stage"] == "import-teacher"
            taken = manifest["settings"] if is_import else manifest["settings"].get("start")
            if not taken:
                continue
            raw = find([taken["file"]], roots_of(folder_of_raw_files(data)))
            if raw is None:
                continue
            if raw not in digests:
                digests[raw] = digest_of(raw, data, afresh=True)
            if digests[raw] != taken["sha256"]:
                yield f"{raw}: has changed since {path} was made of it"


def _prepared(data: Path) -> Iterator[tuple[Path, Source, str | None]]:
    """Yield the runs that prepared raw files: path, what they read, and the digest of that."""
    # What is damaged or of earlier code is told by others.
    for artifact in preparations(data):
        with contextlib.suppress(ValidationError):
            settings = PrepareSettings.model_validate(artifact.manifest["settings"])
            source = settings.located(artifact.manifest.get("outside", {}))
            if not source.facts.built_in:
                yield artifact.path, source, settings.contents
