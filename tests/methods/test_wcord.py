"""WCoRD: its transport plan, its Lipschitz heads, and what it shares with CRD."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feature_probes import (
    BATCH,
    context_of,
    draw_outputs,
    labelled,
    network,
    peak_megabytes,
    quick,
    reordered,
    safe_step,
    value_of,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from distillery.methods.wcord import LipschitzHead, WCoRD, transport_plan
from distillery.models.base import ModelSpec

STUDENT, TEACHER = network(((1, 1, 1),), 5), network(((1, 1, 1),), 7)


def wcord(student: ModelSpec = STUDENT, teacher: ModelSpec = TEACHER, **options: object) -> WCoRD:
    torch.manual_seed(0)
    settings = {"dim": 6, "negatives": 8, **options}
    return WCoRD(WCoRD.Options(**settings), context_of(student, teacher))


@quick
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    epsilon=st.sampled_from([1e-3, 0.05, 1.0]),
    scale=st.sampled_from([0.0, 1.0, 1e4]),
)
def test_plan_has_uniform_margins(size: tuple[int, int], epsilon: float, scale: float) -> None:
    plan = transport_plan(torch.rand(*size, dtype=torch.float64) * scale, epsilon, 20)
    assert plan.isfinite().all()
    assert (plan >= 0).all()
    assert torch.allclose(plan.sum(0), torch.full((size[1],), 1 / size[1], dtype=plan.dtype))
    if scale <= 1 <= epsilon:
        assert torch.allclose(plan.sum(1), torch.full((size[0],), 1 / size[0], dtype=plan.dtype))


def test_plan_tends_to_the_best_assignment() -> None:
    cost = torch.rand(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    best = cost.numpy()[linear_sum_assignment(cost.numpy())].mean()
    costs = [float((transport_plan(cost, e, 3000) * cost).sum()) for e in (1.0, 0.1, 0.01, 0.002)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == pytest.approx(best, rel=1e-3)


def test_plan_equals_sinkhorns_scaling() -> None:
    cost = torch.rand(3, 4, dtype=torch.float64)
    kernel, rows, columns = np.exp(-cost.numpy() / 0.3), np.ones(3), np.ones(4)
    for _ in range(7):
        rows = (1 / 3) / (kernel @ columns)
        columns = (1 / 4) / (kernel.T @ rows)
    expected = rows[:, None] * kernel * columns
    assert np.allclose(transport_plan(cost, 0.3, 7), expected)


def test_gradient_of_the_cost_is_the_plan() -> None:
    method = wcord(iterations=2000)
    students = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    teachers = torch.randn(4, 6, dtype=torch.float64)
    method.transport(students, teachers).backward()

    def regularised(vectors: torch.Tensor) -> float:
        unit, other = (torch.nn.functional.normalize(x, dim=1) for x in (vectors, teachers))
        cost = 1 - unit @ other.T
        plan = transport_plan(cost, method.options.epsilon, 2000)
        return float((plan * (cost + method.options.epsilon * plan.log())).sum())

    step = torch.zeros_like(students)
    step[1, 2] = 1e-5
    with torch.no_grad():
        slope = (regularised(students + step) - regularised(students - step)) / 2e-5
    assert students.grad is not None
    assert students.grad[1, 2].item() == pytest.approx(slope, rel=1e-2, abs=1e-5)


def test_heads_do_not_enlarge_distances() -> None:
    torch.manual_seed(0)
    head = LipschitzHead(20, 6)
    with torch.no_grad():
        head.linear.parametrizations.weight.original *= 30
    for _ in range(20):
        head(torch.randn(2, 20))
    first, second = torch.randn(2, 500, 20) * torch.rand(500, 1)
    apart = (head(first) - head(second)).norm(dim=1)
    assert (apart <= (first - second).norm(dim=1) * 1.001).all()
    assert (head(first).norm(dim=1) <= 1 + 1e-6).all()
    assert (head(torch.zeros(1, 20)).norm() < 1).all()


def test_terms_are_those_of_crd_and_the_transport() -> None:
    method = wcord()
    student, teacher = draw_outputs(STUDENT, 8), draw_outputs(TEACHER, 8)
    terms = method.eval()(student, teacher, labelled(8))
    assert set(terms) == {"student_anchor", "teacher_anchor", "local"}
    twice = wcord(global_weight=1.6, local_weight=0.1).eval()(student, teacher, labelled(8))
    for name, term in terms.items():
        assert twice[name].item() == pytest.approx(2 * term.item(), rel=1e-5)
    before = method.student_bank.clone()
    method.after_step()
    assert not torch.equal(before[:8], method.student_bank[:8])
    assert torch.equal(before[8:], method.student_bank[8:])


def test_transport_of_equal_batches_pairs_equal_vectors() -> None:
    vectors = torch.eye(6)
    method = wcord(epsilon=0.01)
    assert method.transport(vectors, vectors).item() == pytest.approx(0, abs=1e-4)
    assert method.transport(vectors, vectors.flip(0)).item() == pytest.approx(0, abs=1e-4)
    assert method.transport(vectors, -vectors).item() > 0.5


@quick
@given(
    scale=st.sampled_from([0.0, 1.0, 1e4]),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]),
    seed=st.integers(0, 10**6),
)
def test_is_finite_and_local_does_not_depend_on_the_order(
    scale: float, dtype: torch.dtype, seed: int
) -> None:
    method = wcord()
    student = draw_outputs(STUDENT, 6, seed, scale, dtype)
    teacher = draw_outputs(TEACHER, 6, seed + 1, scale, dtype)
    safe_step(method, student, teacher, labelled(6))
    method.eval()
    order = torch.randperm(6)
    value = method(student, teacher, labelled(6))["local"]
    shuffled = method(reordered(student, order), reordered(teacher, order), labelled(6))["local"]
    assert shuffled.item() == pytest.approx(value.item(), rel=1e-3, abs=1e-5)


def test_swapped_networks_do_not_pass() -> None:
    with pytest.raises(RuntimeError):
        wcord()(draw_outputs(TEACHER), draw_outputs(STUDENT), labelled(4))


def test_takes_the_memory_it_says() -> None:
    method = wcord(dim=128)
    students, teachers = torch.randn(2, BATCH, 128).requires_grad_()
    measured = peak_megabytes(lambda: method.transport(students, teachers))
    assert measured == pytest.approx(0.2, rel=0.05)  # as its docstring says


def test_learns() -> None:
    method = wcord(TEACHER, TEACHER)
    student, teacher = draw_outputs(TEACHER, 8), draw_outputs(TEACHER, 8, seed=1)
    optimiser = torch.optim.Adam([student.embedding, *method.parameters()], lr=0.05)
    values = []
    for _ in range(40):
        optimiser.zero_grad()
        value = value_of(method, student, teacher, labelled(8))
        value.backward()
        optimiser.step()
        method.after_step()
        values.append(value.item())
    assert values[-1] < values[0]
