"""Times functions on a device, and writes the times down as metrics and as details."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch


@dataclass(frozen=True)
class Clock:
    """Times functions on a device: ``repeats`` times, after ``warmup`` unmeasured calls."""

    device: torch.device
    warmup: int
    repeats: int

    def time(self, parts: Mapping[str, Callable[[], object]]) -> dict[str, np.ndarray]:
        """Return the milliseconds (repeats,) of each function.

        They are called in turn, so that a machine that slows down slows all of them down.
        """
        taken = {name: np.empty(self.repeats) for name in parts}
        for number in range(-self.warmup, self.repeats):
            for name, part in parts.items():
                seconds = self._once(part)
                if number >= 0:
                    taken[name][number] = 1000 * seconds
        return taken

    def _once(self, part: Callable[[], object]) -> float:
        self._wait()
        start = time.perf_counter()
        part()
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def summary(times: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return median and quartiles of each series of milliseconds, as metrics."""
    figures: dict[str, float] = {}
    for name, taken in times.items():
        low, middle, high = np.quantile(taken, (0.25, 0.5, 0.75)).tolist()
        figures |= {f"{name}_ms": middle, f"{name}_ms_q1": low, f"{name}_ms_q3": high}
    return figures


def write_timings(path: Path, times: Mapping[str, np.ndarray], device: str) -> None:
    """Write single timings: columns ``measure``, ``repeat``, ``milliseconds``, ``device``."""
    tables = [
        pa.table(
            {
                "measure": [name] * len(taken),
                "repeat": np.arange(len(taken)),
                "milliseconds": taken,
                "device": [device] * len(taken),
            }
        )
        for name, taken in times.items()
    ]
    pq.write_table(pa.concat_tables(tables), path, compression="zstd", write_page_checksum=True)
