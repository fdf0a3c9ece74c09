"""The clock against known times, and what is written of them."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from distillery.core.measuring import Clock, summary, write_timings

CPU = torch.device("cpu")


def test_the_clock_measures_milliseconds_after_a_warm_up() -> None:
    calls: list[str] = []

    def slow() -> None:
        calls.append("slow")
        time.sleep(0.02 if len(calls) > 4 else 0.2)

    times = Clock(CPU, 2, 4).time({"slow": slow, "fast": lambda: calls.append("fast")})
    assert calls == ["slow", "fast"] * 6
    assert times["slow"].shape == times["fast"].shape == (4,)
    # The warm-up of 200 ms is not in it; a busy machine is no failure.
    assert 20 <= times["slow"].min() < 150
    assert times["fast"].min() < 20


def test_a_summary_has_median_and_quartiles() -> None:
    found = summary({"step": np.array([1.0, 2.0, 3.0, 4.0, 100.0])})
    assert found == {"step_ms": 3.0, "step_ms_q1": 2.0, "step_ms_q3": 4.0}


def test_timings_are_written_one_a_row(tmp_path: Path) -> None:
    times = {"step": np.array([1.5, 2.5]), "teacher": np.array([0.5])}
    write_timings(tmp_path / "details.parquet", times, "a device")
    found = pd.read_parquet(tmp_path / "details.parquet")
    assert found.to_dict("list") == {
        "measure": ["step", "step", "teacher"],
        "repeat": [0, 1, 0],
        "milliseconds": [1.5, 2.5, 0.5],
        "device": ["a device"] * 3,
    }
