"""Reads golden loss cases and compares an implementation with them.

An adapter builds the project's own class for one kind of case, loads the recorded parameters into
it, and returns what the class computes. Adapters register themselves by ``@adapter(kind)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

RTOL = {torch.float64: 1e-6, torch.float32: 1e-5}
GRADIENT_RTOL = {torch.float64: 1e-6, torch.float32: 1e-4}
# The reference itself loses this much in single precision.
LOOSER_RTOL = {("pkt", torch.float32): 2e-5}

ADAPTERS: dict[str, Callable[[Case], Result]] = {}


@dataclass
class Result:
    """What an implementation computed for a case.

    Attributes:
        value: the loss, as the golden file defines it.
        parameters: golden parameter name -> our parameter, for comparing gradients.
        components: golden component name -> our value, for those that the class exposes.
        outputs: golden output name -> our tensor.
        after_step: returns further outputs, which exist only once the step is taken.
    """

    value: Tensor
    parameters: dict[str, nn.Parameter] = field(default_factory=dict)
    components: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    after_step: Callable[[], dict[str, Tensor]] = dict


class Case:
    """One case of losses.json in one precision."""

    def __init__(self, folder: Path, name: str, dtype: torch.dtype) -> None:
        self.record = _records(folder)[name]
        self.kind = name.partition("/")[0]
        self.dtype = dtype
        self.hparams: dict[str, Any] = self.record["hparams"]
        self._arrays = _arrays(folder)
        self.inputs = {key: self._input(key) for key in self.record["inputs"]}

    def _input(self, key: str) -> Tensor:
        tensor = self.array(self.record["inputs"][key]["npz"])
        return tensor.requires_grad_(key in self.record["grad"])

    def array(self, key: str) -> Tensor:
        """Return an array of the npz; floating point arrays in the case's precision."""
        tensor = torch.from_numpy(self._arrays[key].copy())
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def input_list(self, prefix: str) -> list[Tensor]:
        """Return the inputs ``prefix.0``, ``prefix.1``, ..."""
        count = sum(key.startswith(f"{prefix}.") for key in self.inputs)
        return [self.inputs[f"{prefix}.{place}"] for place in range(count)]

    def fill(self, parameters: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
        """Load the recorded values into ``parameters`` (golden name -> parameter)."""
        for entry in self.record["params"]["list"]:
            parameter = parameters[entry["name"]]
            assert list(parameter.shape) == entry["shape"], entry["name"]
            with torch.no_grad():
                parameter.copy_(self.array(entry["npz"]))
        return parameters

    def fill_in_order(self, module: nn.Module) -> dict[str, nn.Parameter]:
        """Load the recorded values where our parameters have the reference's order."""
        names = [entry["name"] for entry in self.record["params"]["list"]]
        ours = list(module.parameters())
        assert len(names) == len(ours)
        return self.fill(dict(zip(names, ours, strict=True)))


def adapter(*kinds: str) -> Callable[[Callable[[Case], Result]], Callable[[Case], Result]]:
    """Register a function as the adapter of ``kinds``."""

    def register(function: Callable[[Case], Result]) -> Callable[[Case], Result]:
        for kind in kinds:
            ADAPTERS[kind] = function
        return function

    return register


def check(case: Case, result: Result) -> None:
    """Compare value, components, outputs and gradients with the record."""
    record, dtype = case.record, case.dtype
    rtol = LOOSER_RTOL.get((case.kind, dtype), RTOL[dtype])
    assert result.value.item() == _close(record["value"], rtol), "value"
    for name, value in result.components.items():
        expected = record["components"][name]
        np.testing.assert_allclose(float(value), expected, rtol=10 * rtol, err_msg=name)
    for name, tensor in result.outputs.items():
        _check_summary(name, tensor, record["outputs"][name], 10 * rtol)
    result.value.sum().backward()
    for name, expected in record["grad"].items():
        _check_summary(f"grad {name}", case.inputs[name].grad, expected, GRADIENT_RTOL[dtype])
    for name, tensor in result.after_step().items():
        _check_summary(name, tensor, record["outputs"][name], 10 * rtol)
    recorded = {entry["name"]: entry for entry in record.get("params", {}).get("list", [])}
    scale = max((entry["grad"]["l2"] for entry in recorded.values() if entry["grad"]), default=0.0)
    for name, parameter in result.parameters.items():
        expected = recorded[name]["grad"]
        if expected is None:
            assert parameter.grad is None or parameter.grad.abs().max() == 0, name
        else:
            floor = scale * GRADIENT_RTOL[dtype]
            _check_summary(name, parameter.grad, expected, GRADIENT_RTOL[dtype], floor)


def _check_summary(
    name: str, tensor: Tensor | None, expected: dict[str, Any], rtol: float, floor: float = 1e-12
) -> None:
    assert tensor is not None, f"{name}: no gradient"
    flat = tensor.detach().double().flatten()
    size, atol = flat.numel(), rtol * expected["l2"] + floor
    np.testing.assert_allclose(flat.norm(), expected["l2"], rtol=rtol, atol=floor, err_msg=name)
    np.testing.assert_allclose(
        flat.abs().sum(), expected["abssum"], rtol=rtol, atol=floor * size, err_msg=name
    )
    # A sum of terms that cancel is only as exact as the terms themselves.
    np.testing.assert_allclose(
        flat.sum(),
        expected["sum"],
        rtol=rtol,
        atol=rtol * expected["abssum"] + floor * size,
        err_msg=name,
    )
    np.testing.assert_allclose(flat[:5], expected["first5"], rtol=rtol, atol=atol, err_msg=name)


def _close(expected: float, rtol: float) -> Any:
    import pytest

    return pytest.approx(expected, rel=rtol)


@cache
def _records(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "losses.json").read_text())["cases"]


@cache
def _arrays(folder: Path) -> Any:
    return np.load(folder / "losses.npz")


def case_names(folder: Path) -> list[str]:
    """Return the names of all cases in ``folder``; none when it holds no losses.json."""
    return list(_records(folder)) if (folder / "losses.json").is_file() else []
