from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from helpers import batch_of, context, outputs
from hypothesis import given
from hypothesis import strategies as st

from distillery.methods.infonce import InBatchContrast
from distillery.methods.parts.contrast import info_nce, negatives_mask


def by_loop(
    anchors: torch.Tensor, candidates: torch.Tensor, labels: list[int], tau: float, all_others: bool
) -> float:
    total = 0.0
    for i, anchor in enumerate(anchors):
        own = math.exp(float(anchor @ candidates[i]) / tau)
        others = sum(
            math.exp(float(anchor @ candidates[j]) / tau)
            for j in range(len(labels))
            if j != i and (all_others or labels[j] != labels[i])
        )
        total -= math.log(own / (own + others))
    return total / len(labels)


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    tau=st.floats(0.05, 2.0),
    all_others=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_a_loop(labels: list[int], tau: float, all_others: bool, seed: int) -> None:
    torch.manual_seed(seed)
    anchors, candidates = (
        F.normalize(torch.randn(len(labels), 5, dtype=torch.float64), dim=1) for _ in range(2)
    )
    mask = negatives_mask(torch.tensor(labels), same_class=all_others)
    found = info_nce(anchors, candidates, mask, tau).item()
    assert found == pytest.approx(by_loop(anchors, candidates, labels, tau, all_others), abs=1e-12)


def test_is_zero_without_negatives() -> None:
    unit = F.normalize(torch.randn(6, 4), dim=1)
    mask = negatives_mask(torch.zeros(6, dtype=torch.long), same_class=False)
    assert info_nce(unit, unit.flip(0), mask, 0.07).item() == 0


def test_order_of_the_batch_does_not_matter() -> None:
    method = InBatchContrast(InBatchContrast.Options(dim=8), context(6, 4))
    labels, order = torch.arange(10) % 3, torch.randperm(10)
    student, teacher = torch.randn(10, 6), torch.randn(10, 4)
    plain, mixed = (
        method(
            outputs(embedding=student[o]), outputs(embedding=teacher[o]), batch_of(10, labels[o])
        )
        for o in (torch.arange(10), order)
    )
    for name in plain:
        torch.testing.assert_close(plain[name], mixed[name])


def test_directions_and_gradients() -> None:
    options = InBatchContrast.Options(dim=8, directions="student")
    method = InBatchContrast(options, context(6, 4))
    student = torch.randn(10, 6, requires_grad=True)
    terms = method(outputs(embedding=student), outputs(embedding=torch.randn(10, 4)), batch_of(10))
    assert list(terms) == ["student_anchor"]
    terms["student_anchor"].backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0


def test_gradcheck() -> None:
    labels = torch.arange(6) % 3
    anchors, candidates = (torch.randn(6, 4, dtype=torch.float64, requires_grad=True) for _ in "ab")

    def loss(a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        mask = negatives_mask(labels, same_class=False)
        return info_nce(F.normalize(a, dim=1), F.normalize(c, dim=1), mask, 0.5)

    assert torch.autograd.gradcheck(loss, (anchors, candidates))
