"""What the tests of AECRD share: batches, methods, and the options that can be combined."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from helpers import outputs, spec
from torch import Tensor

from distillery.methods.aecrd.method import AECRD
from distillery.methods.aecrd.options import PairOptions, Policy
from distillery.methods.aecrd.pairs import Pairs, Side, choose_pairs
from distillery.methods.base import Batch, Context, Losses
from distillery.models.base import Outputs

POLICIES = (
    "same-class",
    "random",
    "hard-hard",
    "anchor-negative",
    "nearest-other-class",
    "centroid",
    "centroid-pair",
    "single",
)
UNLABELLED_POLICIES = ("random", "hard-hard", "anchor-negative", "single")
INTERPOLATIONS = ("linear", "slerp", "hermite", "bezier", "mixup", "extrapolation")
TANGENTS = ("zero", "geodesic", "cardinal", "kochanek-bartels", "random", "anchor", "centroid")
DIFFUSIONS = ("none", "gaussian", "cap", "vmf", "random-walk")
CLASSES = 4

CURVES = [
    {"interpolation": interpolation, "tangents": tangents}
    for interpolation, tangents in itertools.product(INTERPOLATIONS, TANGENTS)
    if interpolation in ("hermite", "bezier") or tangents == "zero"
]


def aecrd(student: int = 6, teacher: int = 5, **options: Any) -> AECRD:
    """Return the method with double precision and a fixed start."""
    torch.manual_seed(0)
    labels = torch.arange(40) % CLASSES
    made = AECRD.Options(**{"dim": 8, **options})
    return AECRD(made, Context(spec(student), spec(teacher), labels, seed=3)).double()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(rows: int, dim: int, seed: int) -> Outputs:
    source = generator(seed)
    logits, embedding = (
        torch.randn(rows, size, generator=source).double().requires_grad_() for size in (10, dim)
    )
    return outputs(logits=logits, embedding=embedding)


def batch(labels: Tensor, *, epoch: int = 0, step: int = 0) -> Batch:
    return Batch(torch.arange(len(labels)), labels, epoch, step)


def losses(
    method: AECRD, labels: Tensor, *, seed: int = 0, epoch: int = 0, step: int = 0
) -> Losses:
    """Return what the method makes of random embeddings."""
    student, teacher = draw(len(labels), 6, seed), draw(len(labels), 5, seed + 1000)
    return method.losses(student, teacher, batch(labels, epoch=epoch, step=step))


def value(method: AECRD, labels: Tensor, **moment: int) -> Tensor:
    """Return the loss of random embeddings."""
    return torch.stack(list(losses(method, labels, **moment).terms.values())).sum()


def side_of(labels: list[int], seed: int, dim: int = 5) -> Side:
    source = generator(seed)
    anchors, candidates = (
        F.normalize(torch.randn(len(labels), dim, generator=source).double(), dim=1)
        for _ in range(2)
    )
    return Side(anchors, candidates, torch.tensor(labels))


def choose(side: Side, policy: Policy, *, ordered: bool = False, **options: int) -> Pairs:
    made = PairOptions(policy=policy, **options)  # type: ignore[arg-type]
    return choose_pairs(side, made, generator(), ordered)
