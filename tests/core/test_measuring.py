"""Time, FLOPs and memory against known amounts."""

import time

import numpy as np
import torch
from torch import nn

from distillery.core.measuring import (
    Clock,
    allocated_bytes,
    count_flops,
    module_bytes,
    summary,
    tensor_bytes,
    timings,
)

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


def test_timings_are_listed_one_a_row() -> None:
    times = {"step": np.array([1.5, 2.5]), "teacher": np.array([0.5])}
    assert timings(times, "a device").to_pydict() == {
        "measure": ["step", "step", "teacher"],
        "repeat": [0, 1, 0],
        "milliseconds": [1.5, 2.5, 0.5],
        "device": ["a device"] * 3,
    }


def test_flops_count_the_backward_pass() -> None:
    layer, rows = nn.Linear(7, 5, bias=False), torch.randn(3, 7, requires_grad=True)
    forward = 2 * 3 * 7 * 5
    assert count_flops(lambda: layer(rows)) == forward
    # One product for the gradient of the weights and one for that of the input.
    assert count_flops(lambda: layer(rows).sum().backward()) == 3 * forward


def test_allocated_bytes_is_the_peak_and_not_the_sum() -> None:
    def compute() -> None:
        for _ in range(3):
            first = torch.zeros(1000, dtype=torch.float64)
            second = torch.zeros(500, dtype=torch.float64)
            del first, second

    assert allocated_bytes(compute, CPU) == 1500 * 8


def test_what_is_held_before_does_not_count_as_allocated() -> None:
    held = [torch.zeros(1000)]

    def compute() -> None:
        held[0] = torch.zeros(10)

    assert allocated_bytes(compute, CPU) == 40


def test_all_results_of_one_operation_count() -> None:
    """A sort of floats returns them and as many indices, of eight bytes each."""
    values = torch.rand(1000)
    assert allocated_bytes(lambda: torch.sort(values), CPU) >= 1000 * (4 + 8)


def test_bytes_of_tensors_and_of_modules() -> None:
    assert tensor_bytes([torch.zeros(3, 2), torch.zeros(5, dtype=torch.float64)]) == 64
    norm = nn.BatchNorm1d(6)
    # Weight, bias, mean and variance, and the number of batches that were seen.
    assert module_bytes(norm) == 4 * 6 * 4 + 8
