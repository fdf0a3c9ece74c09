"""Training on an accelerator: the same numbers as on the CPU, up to rounding."""

from __future__ import annotations

import pytest
import torch
from accelerate.state import AcceleratorState
from project import Project

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator"),
]


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_a_student_is_trained_on_the_accelerator(project: Project, precision: str) -> None:
    changes = {
        "!methods": {
            "crd-kd": {"method": "crd", "weights": {"kd": 1}, "options": {"negatives": 32}}
        },
        "compute": {"precision": precision},
        "training": {"epochs": 10},
    }
    planned = project.plan(changes)
    AcceleratorState._reset_state(reset_partial_state=True)
    artifact = project.make(planned, planned.stage("train-student")[0])
    AcceleratorState._reset_state(reset_partial_state=True)
    assert artifact.manifest["record"]["device"] == torch.cuda.get_device_name()
    assert artifact.json("metrics.json")["train_top1"] > 20
