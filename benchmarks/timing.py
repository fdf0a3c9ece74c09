"""Interleaved timing: every round runs all candidates, so that noise hits them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np


def in_turn(candidates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, np.ndarray]:
    """Return (rounds,) of what each candidate measures itself; each warms itself up."""
    taken = {name: np.empty(rounds) for name in candidates}
    for number in range(rounds):
        for name, candidate in candidates.items():
            taken[name][number] = candidate()
    return taken


def called(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Return (rounds,) seconds that the process computes in a call of each function."""
    for function in functions.values():
        function()
    return in_turn({name: _timed(function) for name, function in functions.items()}, rounds)


def seconds(
    function: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return how long one call takes."""
    start = clock()
    function()
    return clock() - start


def _timed(function: Callable[[], object]) -> Callable[[], float]:
    return lambda: seconds(function, time.process_time)
