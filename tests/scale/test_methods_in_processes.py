"""Two processes take the steps of one with every method, four with those that couple the batch."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from coupled_steps import normalises, steps, steps_of_all
from gloo import in_group

from distillery.methods import registry

pytestmark = pytest.mark.slow

METHODS = {
    2: registry.names(),
    4: [name for name in registry.names() if registry.load(name).couples_batch],
}
EXACT = {"rtol": 1e-9, "atol": 1e-11}


@cache
def found(processes: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        return in_group(processes, steps_of_all, Path(folder), processes, METHODS[processes])


@cache
def alone(name: str) -> dict[str, Any]:
    return steps(name)


@pytest.mark.parametrize(
    ("processes", "name"),
    [(count, name) for count, names in METHODS.items() for name in names],
)
def test_processes_agree(processes: int, name: str) -> None:
    """Parameters, banks and centroids are the same everywhere, though nobody sends them."""
    first, *others = (part[name]["state"] for part in found(processes))
    running = {key for key in first if "running_" in key}
    for other in others:
        for key in first.keys() - running:
            assert torch.equal(first[key], other[key]), key


@pytest.mark.parametrize(
    ("processes", "name"),
    [
        (count, name)
        for count, names in METHODS.items()
        for name in names
        # Batch normalisation of a method's own sees the outputs of its process alone.
        if registry.load(name).couples_batch or not normalises(name)
    ],
)
def test_processes_take_the_steps_of_one(processes: int, name: str) -> None:
    expected = alone(name)
    for number, one in enumerate(expected["steps"]):
        parts = [part[name]["steps"][number] for part in found(processes)]
        for term, value in one["terms"].items():
            mean = torch.stack([part["terms"][term] for part in parts]).mean()
            torch.testing.assert_close(mean, value, msg=f"{term} of step {number}", **EXACT)
        for part in parts:
            for key, value in one["gradients"].items():
                got = part["gradients"][key]
                torch.testing.assert_close(got, value, msg=f"{key} of step {number}", **EXACT)
    for key, value in expected["state"].items():
        torch.testing.assert_close(found(processes)[0][name]["state"][key], value, msg=key, **EXACT)
