"""The methods of RepDistiller's zoo and the logit methods, built for two small networks."""

from __future__ import annotations

from typing import Any

import torch
from feature_probes import context_of, network
from torch import Tensor
from torch.utils._pytree import tree_map_only

from distillery.methods import registry
from distillery.methods.base import Batch, Method
from distillery.models.base import ModelSpec, Outputs

ZOO = ("dkd", "dist", "lskd", "cc", "rkd", "pkt", "fitnet", "at", "sp", "vid", "nst", "kdsvd")
TWO_STAGE = ("fsp", "ab", "ft")
# Methods whose maps need equally many channels.
EQUAL_CHANNELS = ["kdsvd", "fsp"]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ZOO + TWO_STAGE),
    ("lskd", {"base": "dkd"}),
    ("cc", {"variant": "kernel"}),
    ("at", {"power": 1}),
    ("at", {"power": 4}),
    ("ft", {"factor": "whole", "distance_power": 2}),
    ("kdsvd", {"vectors": 2, "solver": "svd"}),
]
IDS = ["-".join([name, *map(str, options.values())]) for name, options in VARIANTS]

STUDENT = network(((4, 8, 8), (6, 4, 4), (8, 2, 2)), embedding=8)
# The second stage is twice as large as the student's; the third has the student's shape.
TEACHER = network(((6, 8, 8), (10, 8, 8), (8, 2, 2)), embedding=12)
TWIN = network(((4, 8, 8), (6, 8, 8), (8, 2, 2)), embedding=12)


def teacher_of(name: str) -> ModelSpec:
    return TWIN if name in EQUAL_CHANNELS else TEACHER


def build(
    name: str,
    options: dict[str, Any] | None = None,
    student: ModelSpec = STUDENT,
    teacher: ModelSpec | None = None,
) -> Method:
    """Return a method with fixed random parameters."""
    torch.manual_seed(0)
    method = registry.load(name)
    parsed = method.Options(**(options or {}))
    teacher = teacher_of(name) if teacher is None else teacher
    method.check(parsed, student, teacher)
    return method(parsed, context_of(student, teacher))


def frozen(outputs: Outputs) -> Outputs:
    """Return a teacher's outputs as the trainer hands them over: without gradient."""
    return Outputs(*tree_map_only(torch.Tensor, torch.Tensor.detach, tuple(outputs)))


def terms_of(method: Method, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
    """Return the terms of the distillation or, for methods without any, of the initialisation."""
    stage = method.pretraining()
    if stage is not None and stage.trains_student:
        return method.pretrain(student, teacher, batch)
    return method(student, teacher, batch)


def loss_of(method: Method, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
    return torch.stack(list(terms_of(method, student, teacher, batch).values())).sum()
