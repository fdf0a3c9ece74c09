"""Interleaved timing: every round runs all candidates, so that noise hits them alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from distillery.core.measuring import Clock


def compare(candidates: dict[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """Return the median milliseconds of each candidate and print them beside the first one's."""
    times = Clock(torch.device("cpu"), warmup=1, repeats=rounds).time(candidates)
    medians = {name: float(np.median(taken)) for name, taken in times.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name:32} {median:9.2f} ms   x{median / first:.2f}")
    return medians
