"""Which finished runs were made of something else than what their inputs hold now.

A key says which inputs a run reads, not which bits: on an accelerator, another machine or another
version of a library an input that is made again may come out differently. Each manifest has the
digests of what the run has read; a run that has read other contents, and all that hangs on it, is
made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from distillery.runs.artifact import MANIFEST, Finished, contents_of
from distillery.runs.run import Run

_Described = Mapping[str, Any]


class Outdated:
    """Compares what the runs of a data folder have read with what is there."""

    def __init__(self, data: Path) -> None:
        self._finished = Finished(data)
        self._contents = cache(self._digest)

    def of(self, runs: Iterable[Run]) -> set[str]:
        """Return the locations of outdated runs.

        Args:
            runs: what is planned, inputs before what reads them.

        Returns:
            Locations of finished runs, and of missing ones that stand between these.
        """
        found: set[str] = set()
        for run in runs:
            if not found.isdisjoint(run.inputs.values()) or self.changed(run):
                found.add(run.location)
        return found

    def changed(self, run: Run) -> list[Path]:
        """Return the directories of inputs that hold something else than a finished run has read.

        What is missing or damaged, of which others tell, counts as unchanged.
        """
        manifest = _described(self._finished.path(run.location))
        return list(self._changed(manifest, run.inputs))

    def changed_for(self, manifest: _Described) -> list[Path]:
        """Return the same of the run that has this manifest."""
        return list(self._changed(manifest, manifest["inputs"]))

    def _changed(self, manifest: _Described, inputs: Mapping[str, str]) -> Iterator[Path]:
        read = manifest.get("record", {}).get("inputs", {})
        for name, location in inputs.items():
            if name in read and self._contents(location) not in (None, read[name]):
                yield self._finished.path(location)

    def _digest(self, location: str) -> str | None:
        files = _described(self._finished.path(location)).get("files")
        return contents_of(files) if files else None


def _described(path: Path) -> _Described:
    """Return the manifest in a directory without a look at its key; empty if there is none."""
    try:
        found = from_json((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
