"""Every method equals its public reference: value and gradients, in double and single precision."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from cases import ADAPTERS, Case, case_names, check

for _module in sorted(Path(__file__).parent.glob("adapters_*.py")):
    importlib.import_module(_module.stem)

# What the reference gets wrong, and what is therefore not reproduced.
NOT_REPRODUCED = {
    "softpool2d_repo_cpu": "the released CPU path sums exponentials over channels",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case_name" in metafunc.fixturenames:
        folder = Path(metafunc.config.getoption("--golden-dir"))
        metafunc.parametrize("case_name", case_names(folder))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
def test_loss_equals_reference(
    case_name: str, dtype: torch.dtype, request: pytest.FixtureRequest
) -> None:
    kind = case_name.partition("/")[0]
    if kind in NOT_REPRODUCED:
        pytest.skip(NOT_REPRODUCED[kind])
    assert kind in ADAPTERS, f"no adapter compares {kind} with its reference"
    case = Case(Path(request.config.getoption("--golden-dir")), case_name, dtype)
    check(case, ADAPTERS[kind](case))


def test_golden_dir_holds_cases(request: pytest.FixtureRequest) -> None:
    assert case_names(Path(request.config.getoption("--golden-dir")))
