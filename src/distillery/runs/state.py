"""What has become of a planned run: done, being computed, failed, stopped, or waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from distillery.core.locks import is_locked
from distillery.core.progress import Noted
from distillery.runs.artifact import Finished
from distillery.runs.outdated import Outdated
from distillery.runs.produce import LOCK, failure_of, scratch_of
from distillery.runs.run import Run

Name = Literal["done", "outdated", "running", "failed", "stopped", "waiting"]
NAMES: tuple[Name, ...] = ("done", "outdated", "running", "failed", "stopped", "waiting")


class State(NamedTuple):
    """The state of a run.

    Attributes:
        name: ``outdated`` is what is there, but was made of inputs that have been made again since;
            ``stopped`` what was asked to end or killed, and resumes; ``waiting`` what has not been
            begun.
        progress: how far it has come, if it is not done and said so.
        reason: why it failed.
    """

    name: Name
    progress: Noted | None = None
    reason: str = ""


def states_of(runs: Iterable[Run], data: Path) -> Iterator[tuple[Run, State]]:
    """Yield each run, inputs before what reads them, with its state."""
    every = list(runs)
    finished, outdated = Finished(data), Outdated(data).of(every)
    for run in every:
        if run.location not in finished:
            yield run, _unfinished(run, data, State("waiting"))
        elif run.location in outdated:
            yield run, _unfinished(run, data, State("outdated"))
        else:
            yield run, State("done")


def _unfinished(run: Run, data: Path, unless_begun: State) -> State:
    scratch = scratch_of(data, run)
    if not scratch.is_dir():
        return unless_begun
    progress = Noted.read(scratch)
    if is_locked(scratch / LOCK):
        return State("running", progress)
    reason = failure_of(scratch)
    if reason is not None:
        return State("failed", progress, reason)
    # With nothing but a lock it was not begun: an input was missing, perhaps.
    begun = any(path.name != LOCK for path in scratch.iterdir())
    return State("stopped", progress) if begun else unless_begun
