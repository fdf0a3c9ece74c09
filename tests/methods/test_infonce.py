from __future__ import annotations

import math

import pytest
import torch
from helpers import batch_of, context, outputs
from hypothesis import given
from hypothesis import strategies as st

from distillery.methods.infonce import InBatchContrast


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
    options = InBatchContrast.Options(
        dim=5, temperature=tau, negatives="all" if all_others else "other-class"
    )
    method = InBatchContrast(options, context(6, 4)).double()
    student, teacher = (torch.randn(len(labels), size).double() for size in (6, 4))
    networks = outputs(embedding=student), outputs(embedding=teacher)
    found = method(*networks, batch_of(len(labels), torch.tensor(labels)))
    students = method.student_head(student).detach()
    teachers = method.teacher_head(teacher).detach()
    sides = {"student_anchor": (students, teachers), "teacher_anchor": (teachers, students)}
    for name, both in sides.items():
        expected = by_loop(*both, labels, tau, all_others)
        assert found[name].item() == pytest.approx(expected, abs=1e-12)


def test_is_zero_without_negatives() -> None:
    method = InBatchContrast(InBatchContrast.Options(dim=8), context(6, 4))
    networks = outputs(embedding=torch.randn(5, 6)), outputs(embedding=torch.randn(5, 4))
    terms = method(*networks, batch_of(5, torch.zeros(5, dtype=torch.long)))
    assert [term.item() for term in terms.values()] == [0, 0]


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
    method = InBatchContrast(InBatchContrast.Options(dim=4, temperature=0.5), context(6, 4))
    method, batch = method.double(), batch_of(6, torch.arange(6) % 3)

    def loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        terms = method(outputs(embedding=student), outputs(embedding=teacher), batch)
        return torch.stack(list(terms.values())).sum()

    inputs = [torch.randn(6, size, dtype=torch.float64, requires_grad=True) for size in (6, 4)]
    assert torch.autograd.gradcheck(loss, inputs)
