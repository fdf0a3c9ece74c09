"""Batches: the runs that one job of the workflow computes, so that start-up is paid once.

Batches depend on the plan alone, not on what is done already: whoever reads the plan again, as a
job on another machine does, finds the same ones.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property

from distillery.runs.run import KEY_LENGTH, Run

_STUDENTS = ("train-student", "trial")


@dataclass(frozen=True)
class Batch:
    """Runs of one stage that ask for the same of the machine."""

    runs: tuple[Run, ...]

    @cached_property
    def name(self) -> str:
        """Name of its log and marker; that of the run if there is only one."""
        first, *others = (run.name for run in self.runs)
        if not others:
            return first
        digest = hashlib.sha256("\n".join((first, *others)).encode()).hexdigest()
        return f"{len(self.runs)}-runs-{digest[:KEY_LENGTH]}"


@dataclass(frozen=True)
class Size:
    """How many runs a job computes; no result depends on it.

    Attributes:
        largest: most short runs of a batch.
        lanes: how many students a job trains at a time.
        cores: how many runs there should be at a time, so that no core is idle.
    """

    largest: int
    lanes: int = 1
    cores: int = 1

    def of(self, run: Run) -> int:
        """Return the most runs of a batch that holds ``run``."""
        if run.is_short:
            return self.largest
        # Long ones only where they are trained beside each other.
        return self.lanes if run.stage in _STUDENTS else 1


def batches_of(runs: Iterable[Run], size: Size) -> list[Batch]:
    """Return runs as batches: those that share what they read together, others alone.

    Args:
        runs: the planned runs.
        size: how many are computed together.
    """
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        groups.setdefault(_shared(run) if size.of(run) > 1 else run.name, []).append(run)
    members_of = Counter(_kind(run) for members in groups.values() for run in members)
    found = []
    for members in groups.values():
        first, share = members[0], len(members) / members_of[_kind(members[0])]
        # A group gets its share of the cores: students of one teacher all of them. What measures
        # time has all of them in any case.
        at_a_time = size.cores / (size.lanes if first.stage in _STUDENTS else 1)
        wanted = at_a_time * share if first.is_short and not first.exclusive else 1
        count = math.ceil(max(len(members) / size.of(first), min(wanted, len(members))))
        # Every so many: neighbours are alike, and so are the batches then.
        found += [Batch(tuple(members[start::count])) for start in range(count)]
    return found


def _shared(run: Run) -> Hashable:
    """Return what the runs of a batch have in common; only students wait for the same teachers."""
    trains = run.stage in _STUDENTS
    read = tuple(run.inputs.items()) if trains else run.inputs.get("prepared")
    return *_kind(run), run.gpu, read


def _kind(run: Run) -> tuple[Hashable, ...]:
    return run.stage, run.is_short, run.exclusive
