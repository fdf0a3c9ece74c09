"""The lines of the console."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distillery.runs.artifact import MANIFEST
from distillery.runs.run import Run
from distillery.runs.stages import STAGES

# What a run's metrics call its accuracy, and what the line does.
_ACCURACIES = {
    "test_top1": "test top-1",
    "top1": "test top-1",
    "validation_top1": "validation top-1",
}
_WIDEST_STAGE = max(map(len, STAGES))
_TAIL_BYTES = 8192


def finished(run: Run, folder: Path) -> str:
    """Return the line of a finished run: its result, where it has one, and its seconds.

    Args:
        run: the run.
        folder: its directory.
    """
    seconds = seconds_of(folder)
    took = "" if seconds is None else f"{seconds:.1f} s"
    parts = (f"{run.stage:{_WIDEST_STAGE}}", run.name, accuracy(folder), took)
    return "  ".join(filter(None, parts))


def failed(run: Run, why: str, log: Path) -> str:
    """Return the line of a run that failed.

    Args:
        run: the run.
        why: the reason, in a line.
        log: where the log is.
    """
    return f"failed: {run.stage} {run.name}: {why} ({log})"


def accuracy(folder: Path) -> str:
    """Return what a finished run says of its accuracy, in percent; nothing if it measured none."""
    found = _read(folder / "metrics.json")
    said = (
        f"{name} {found[key]:.2f} %"
        for key, name in _ACCURACIES.items()
        if isinstance(found.get(key), int | float)
    )
    return next(said, "")


def seconds_of(folder: Path) -> float | None:
    """Return how long a finished run took; None if its manifest does not say."""
    seconds = _read(folder / MANIFEST).get("record", {}).get("wall_seconds")
    return None if seconds is None else float(seconds)


def last_line(log: Path) -> str:
    """Return the last line of a log that says something."""
    if not log.exists():
        return "it left no log"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
    # A progress bar draws over its own line.
    said = [line.rpartition("\r")[2].strip() for line in lines]
    return next(filter(None, reversed(said)), "its log is empty")


def counted(found: Iterable[Run]) -> str:
    """Return how many runs there are of each stage, in the order of the stages."""
    number = Counter(run.stage for run in found)
    return ", ".join(f"{number[stage]} {stage}" for stage in STAGES if number[stage])


def _read(file: Path) -> dict[str, Any]:
    """Read a JSON object; a file that is missing or damaged, which others report, says nothing."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
