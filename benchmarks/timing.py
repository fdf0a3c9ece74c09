"""Interleaved timing: every round runs all candidates, so that noise hits them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def compare(candidates: dict[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """Return the median seconds of each candidate and print them with the ratio to the first."""
    for run in candidates.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name:32} {1000 * median:9.2f} ms   x{median / first:.2f}")
    return medians
