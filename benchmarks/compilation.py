"""torch.compile: a step as it is, and compiled."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.made_up import PAIRS
from benchmarks.rows import Row, ratio_row
from benchmarks.timing import in_turn, seconds
from benchmarks.training_step import Ours

# Compilation takes minutes of a C++ compiler.
ON_REQUEST = True


def measure(quick: bool = False) -> list[Row]:
    """Return plain time / compiled time of KD."""
    return [_compared(pair, rounds=2 if quick else 5) for pair in list(PAIRS)[: 1 if quick else 2]]


def _compared(pair: str, rounds: int) -> Row:
    steps: dict[str, Callable[[], float]] = {
        name: Ours(PAIRS[pair], "kd", compute={"compile": name == "compiled"})
        for name in ("plain", "compiled")
    }
    first = seconds(steps["compiled"])
    times = in_turn(steps, rounds)
    note = f"compiling takes {first:.0f} s once a process"
    return ratio_row(f"plain / compiled, kd, {pair}", times["plain"], times["compiled"], note=note)
