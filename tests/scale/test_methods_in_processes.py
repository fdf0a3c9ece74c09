"""Two and four real processes take the steps of one, with every registered method."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from coupled_steps import in_processes, normalises, steps

from distillery.methods import registry

pytestmark = pytest.mark.slow

EXACT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture(scope="module", params=[2, 4])
def found(request: pytest.FixtureRequest, tmp_path_factory: Any) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp(f"of-{request.param}")
    return in_processes(request.param, registry.names(), folder)


@cache
def alone(name: str) -> dict[str, Any]:
    return steps(name)


@pytest.mark.parametrize("name", registry.names())
def test_processes_agree(found: list[dict[str, Any]], name: str) -> None:
    """Parameters, banks and centroids are the same everywhere, though nobody sends them."""
    first, *others = (part[name]["state"] for part in found)
    running = {key for key in first if "running_" in key}
    for other in others:
        for key in first.keys() - running:
            assert torch.equal(first[key], other[key]), key


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in registry.names()
        if registry.load(name).couples_batch or not normalises(name)
    ],
)
def test_processes_take_the_steps_of_one(found: list[dict[str, Any]], name: str) -> None:
    expected = alone(name)
    for number, one in enumerate(expected["steps"]):
        parts = [part[name]["steps"][number] for part in found]
        for term, value in one["terms"].items():
            mean = torch.stack([part["terms"][term] for part in parts]).mean()
            torch.testing.assert_close(mean, value, msg=f"{term} of step {number}", **EXACT)
        for part in parts:
            for key, value in one["gradients"].items():
                got = part["gradients"][key]
                torch.testing.assert_close(got, value, msg=f"{key} of step {number}", **EXACT)
    for key, value in expected["state"].items():
        torch.testing.assert_close(found[0][name]["state"][key], value, msg=key, **EXACT)
