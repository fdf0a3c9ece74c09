"""What functions cost: their time, FLOPs and memory."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

MIB = 2**20
"""Bytes of a MiB."""


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
    """Return median and quartiles of each series (repeats,) of milliseconds, as metrics."""
    metrics: dict[str, float] = {}
    for name, taken in times.items():
        low, middle, high = np.quantile(taken, (0.25, 0.5, 0.75)).tolist()
        metrics |= {f"{name}_ms": middle, f"{name}_ms_q1": low, f"{name}_ms_q3": high}
    return metrics


def timings(times: Mapping[str, np.ndarray], device: str) -> pa.Table:
    """Return the single timings of each series (repeats,) of milliseconds, one a row.

    Columns: ``measure``, ``repeat``, ``milliseconds``, ``device``.
    """
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
    return pa.concat_tables(tables)


def count_flops(compute: Callable[[], object]) -> int:
    """Return the FLOPs of ``compute``, those of its backward passes included."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())


def allocated_bytes(compute: Callable[[], object], device: torch.device) -> int:
    """Return how many bytes ``compute`` has allocated at its peak, beside what was held before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        compute()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        compute()
    with tempfile.TemporaryDirectory() as folder:
        # The trace is the one public place that has single allocations, those inside operations
        # included: the profiler's tables have sums, and torch's trackers of tensors are private.
        trace = Path(folder) / "trace.json"
        recorded.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (event["ts"], event["args"]["Ev Idx"], event["args"]["Bytes"])
        for event in events
        if event["name"] == "[memory]"
    )
    return int(np.cumsum([0, *(size for *_, size in changes)]).max())


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the size of tensors of any shapes (...) that share no memory."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def module_bytes(module: nn.Module) -> int:
    """Return the size of a module's parameters and buffers."""
    return tensor_bytes([*module.parameters(), *module.buffers()])
