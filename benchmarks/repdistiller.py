"""Our step beside that of RepDistiller, as we wrote it anew (see ``reference_step``).

Same machine, batch and threads; the reference has two workers that load images, on other cores if
there are any, and computes in single precision.
"""

from __future__ import annotations

import time

from benchmarks.made_up import PAIRS, PRECISIONS
from benchmarks.reference_step import ReferenceStep
from benchmarks.rows import Row, ratio_row
from benchmarks.timing import in_turn
from benchmarks.training_step import Ours

TARGETS = {"kd": (3.3, 5.0), "crd": (8.0, 8.0)}
# Steps before the timed ones, in which the workers' queue settles; timed steps.
SLICES = {"kd": (4, 4), "crd": (2, 3)}


def measure(quick: bool = False) -> list[Row]:
    """Return reference time / our time, for KD and CRD in both precisions."""
    return [
        row
        for method in TARGETS
        for number, pair in enumerate(PAIRS)
        for row in _compared(method, pair, TARGETS[method][number], rounds=1 if quick else 2)
    ]


def _compared(method: str, pair: str, target: float, rounds: int) -> list[Row]:
    candidates = {"reference": ReferenceStep(PAIRS[pair], method, *SLICES[method])} | {
        name: Ours(PAIRS[pair], method, precision, timed=5, clock=time.perf_counter)
        for name, precision in PRECISIONS.items()
    }
    times = in_turn(candidates, rounds)
    shown = {name: f"{1000 * taken.min():.0f} ms" for name, taken in times.items()}
    return [
        ratio_row(
            f"reference / ours, {method}, {pair}, {name}",
            times["reference"],
            times[name],
            target,
            f"{shown['reference']} / {shown[name]}; ours is bounded by the student",
        )
        for name in PRECISIONS
    ]
