"""Batches: the runs that one job of the workflow computes, so that start-up is paid once.

Batches depend on the plan alone, not on what is done already: whoever reads the plan again, as a
job on another machine does, finds the same ones.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from distillery.runs.run import KEY_LENGTH, Run


@dataclass(frozen=True)
class Batch:
    """Runs of one stage that ask for the same of the machine."""

    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """Name of its log and marker; that of the run if there is only one."""
        first, *others = (run.name for run in self.runs)
        if not others:
            return first
        digest = hashlib.sha256("\n".join((first, *others)).encode()).hexdigest()
        return f"{len(self.runs)}-runs-{digest[:KEY_LENGTH]}"


def batches_of(runs: Iterable[Run], largest: int) -> list[Batch]:
    """Return runs as batches: short ones that share what they read together, others alone.

    Args:
        runs: the planned runs.
        largest: most runs of a batch.
    """
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        groups.setdefault(_shared(run) if run.is_short else run.name, []).append(run)
    found = []
    for members in groups.values():
        count = math.ceil(len(members) / largest)
        # Every so many: neighbours are alike, and so are the batches then.
        found += [Batch(tuple(members[start::count])) for start in range(count)]
    return found


def _shared(run: Run) -> Hashable:
    """Return what the runs of a batch have in common; only students wait for the same teachers."""
    trains = run.stage == "train-student"
    read = tuple(run.inputs.items()) if trains else run.inputs.get("prepared")
    return run.stage, run.gpu, run.exclusive, read
