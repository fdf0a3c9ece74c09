"""Our training step beside the bare one: forward, cross-entropy, backward, update.

Ours is what a run does with a batch: augmentation, cached outputs of the teacher, the method, logs.
"""

from __future__ import annotations

from benchmarks.made_up import NEGATIVES, PAIRS, PRECISIONS
from benchmarks.rows import Row, ratio_row
from benchmarks.timing import in_turn
from benchmarks.training_step import Bare, Ours

# Of the first and the second pair.
TARGETS = {"kd": (0.95, 1.0), "crd": (0.75, 0.88), "aecrd": (0.92, 0.99)}
BOUNDS = {
    "kd": "augmentation, logs",
    "crd": f"scores of K = {NEGATIVES:,} negatives of n = 50,000, twice",
    "aecrd": "pairs, curves and their scores",
}
CHECKED = True


def measure(quick: bool = False) -> list[Row]:
    """Return bare time / our time; quick of the smaller pair in single precision alone."""
    precisions, pairs = list(PRECISIONS), list(PAIRS)
    if quick:
        precisions, pairs = precisions[:1], pairs[:1]
    return [
        row
        for precision in precisions
        for number, pair in enumerate(pairs)
        for row in _pair(pair, number, precision, rounds=2 if quick else 3)
    ]


def _pair(pair: str, number: int, precision: str, rounds: int) -> list[Row]:
    teacher, student = PAIRS[pair]
    named = PRECISIONS[precision]
    candidates = {"bare": Bare(student, named)} | {
        method: Ours((teacher, student), method, named) for method in TARGETS
    }
    times = in_turn(candidates, rounds)
    return [
        ratio_row(
            f"bare / {method}, {pair}, {precision}",
            times["bare"],
            times[method],
            target[number],
            f"{BOUNDS[method]}; bare step {1000 * times['bare'].min():.0f} ms",
        )
        for method, target in TARGETS.items()
    ]
