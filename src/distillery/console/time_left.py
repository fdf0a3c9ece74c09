"""How long the runs that are still to be made will take."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from distillery.console.lines import seconds_of
from distillery.costs.makespan import makespan
from distillery.runs.artifact import Finished
from distillery.runs.run import Run
from distillery.runs.stages import STAGES

_Kind = tuple[str, object]


class TimeLeft:
    """Learns from each finished run what others of its kind take.

    Args:
        runs: location -> run, inputs before what reads them.
        lanes: how many are computed at a time.
    """

    def __init__(self, runs: Mapping[str, Run], lanes: int) -> None:
        self._runs = runs
        self._lanes = lanes
        self._earlier: dict[_Kind, float] = {}
        self._taken: dict[_Kind, list[float]] = defaultdict(list)

    def look_at(self, data: Path, done: Collection[str]) -> None:
        """Take what one run of each kind took before; this call's own runs count for more.

        Args:
            data: the data folder.
            done: locations of runs, where they are finished.
        """
        finished = Finished(data)
        for location in done:
            kind = _kind(self._runs[location])
            if kind not in self._earlier:
                seconds = seconds_of(finished.path(location))
                if seconds is not None:
                    self._earlier[kind] = seconds

    def took(self, run: Run, seconds: float) -> None:
        """Note how long a run of this call took."""
        self._taken[_kind(run)].append(seconds)

    def of(self, missing: Collection[str]) -> float | None:
        """Return the seconds until runs are made, or None as long as nothing tells.

        Args:
            missing: their locations.
        """
        means = {**self._earlier, **{kind: statistics.mean(s) for kind, s in self._taken.items()}}
        seconds: dict[str, float] = {}
        for name in missing:
            expected = _expected(_kind(self._runs[name]), means)
            if expected is None:
                return None
            seconds[name] = expected
        return makespan(self._runs, seconds, missing, self._lanes)


def _kind(run: Run) -> _Kind:
    return run.stage, run.settings.get("protocol")


def _expected(kind: _Kind, means: Mapping[_Kind, float]) -> float | None:
    """Return the mean of a kind; of one that is not known yet, that of the most similar ones."""
    if kind in means:
        return means[kind]
    stage, _ = kind
    alike = [means[other] for other in means if other[0] == stage] or [
        means[other] for other in means if STAGES[other[0]].trains == STAGES[stage].trains
    ]
    return statistics.mean(alike) if alike else None
