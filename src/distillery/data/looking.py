"""A quick look at raw data: what a plan can know of a data set before it is prepared.

Where the raw data are not there (any more), the last run that prepared them says what they were, so
that a finished experiment can be reported anywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.core.errors import DamagedArtifact, UserError
from distillery.core.files import write_atomically
from distillery.data.card import Card, Look, Whereabouts
from distillery.data.contents import (
    CACHE,
    contents_of,
    folder_of_raw_files,
    located,
)
from distillery.data.files import RawFiles, missing, roots_of
from distillery.data.info import DataSetInfo, Part
from distillery.runs.artifact import Artifact, published
from distillery.runs.fingerprint import source_digest

if TYPE_CHECKING:
    from distillery.data.settings import Source


def look(source: Source, data: Path) -> Look:
    """Return what is known of a data set; for large folders it takes a while the first time.

    Args:
        source: where the data set comes from.
        data: the data folder.

    Raises:
        UserError: the raw data are neither there nor prepared, damaged or unsuitable.
    """
    if source.facts.built_in:
        return Look(contents=None)
    whereabouts = source.whereabouts
    found = identified(whereabouts, data)
    if not found.is_here or not whereabouts.is_looked_at:
        return found
    return found.model_copy(update={"card": _kept_card(source, str(found.contents), data)})


def identified(source: Whereabouts, data: Path) -> Look:
    """Return what is known without reading files that stay as they are.

    Raises:
        UserError: as in ``look``.
    """
    path = located(source, data)
    if path:
        return Look(contents=contents_of(source, path, data))
    earlier = _last_prepared(source, data)
    if earlier:
        return earlier
    if source.path:
        roots = roots_of(folder_of_raw_files(data))
        raise UserError(missing(source.places, roots))
    return Look(contents=None, is_here=False)


def _last_prepared(source: Whereabouts, data: Path) -> Look | None:
    """Return what the latest run found that prepared such raw data from the same place."""
    found = [artifact for artifact in preparations(data) if _is_of(artifact.manifest, source)]
    if not found:
        return None
    latest = max(found, key=lambda each: str(each.manifest["record"].get("started")))
    info, contents = DataSetInfo.load(latest), latest.manifest["settings"]["contents"]
    card = Card(
        classes=info.classes,
        per_class=info.per_class,
        channels=info.shape[2],
        notes=info.notes,
    )
    return Look(contents=contents, card=card if source.is_looked_at else None, is_here=False)


def preparations(data: Path) -> Iterator[Artifact]:
    """Yield the runs of the stage ``prepare`` that can be read."""
    for path in published(data, "prepared"):
        with contextlib.suppress(DamagedArtifact):
            artifact = Artifact(path)
            if artifact.manifest["stage"] == "prepare":
                yield artifact


def _is_of(manifest: Mapping[str, Any], source: Whereabouts) -> bool:
    """Tell whether a run prepared the raw data of a source, whatever they were then."""
    settings = {name: value for name, value in manifest["settings"].items() if name != "contents"}
    is_same = settings == source.reading
    return is_same and manifest.get("outside") == source.outside


def _kept_card(source: Source, contents: str, data: Path) -> Card:
    """Return what the raw files hold, from the disk if they have been looked at already."""
    reading = source.reading.model_dump_json()
    key = hashlib.sha256(f"{source_digest()}\0{contents}\0{reading}".encode()).hexdigest()
    file = data / CACHE / "looks" / f"{key[:32]}.json"
    with contextlib.suppress(OSError, ValueError):
        return Card.model_validate_json(file.read_bytes())
    card = card_of(source, data)
    with contextlib.suppress(OSError):
        write_atomically(file, card.model_dump_json().encode())
    return card


def card_of(source: Source, data: Path) -> Card:
    """Look at raw files, which have to be there; errors are those of ``look``."""
    # Most plans look at nothing anew, and are read faster without them.
    import numpy as np

    from distillery.data.reading import read

    with RawFiles.opened(folder_of_raw_files(data), None, verified=False) as raw:
        found = read(source, raw)
        counts: dict[Part, Any] = {
            "train": np.bincount(found.train.labels, minlength=len(found.classes)),
            "test": np.bincount(found.test.labels, minlength=len(found.classes)),
        }
    return Card(
        classes=found.classes,
        per_class={part: tuple(each.tolist()) for part, each in counts.items()},
        channels=found.channels,
        notes=found.notes,
    )
