"""What holds for every method of RepDistiller's zoo and every logit method."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from feature_probes import draw_outputs, labelled, leaves, network, quick, reordered
from helpers import batch_of
from hypothesis import given
from hypothesis import strategies as st
from relation_methods import (
    ALL,
    IDS,
    MAPS,
    STUDENT,
    VARIANTS,
    build,
    frozen,
    loss_of,
    teacher_of,
    terms_of,
)
from torch import Tensor, nn

from distillery.methods import registry
from distillery.methods.base import Weights
from distillery.models.base import Outputs

variants = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
# The loss of a batch is not the mean over its samples.
COUPLED = {"dist", "cc", "rkd", "pkt", "sp"}
SYMMETRIC = {"dist", "rkd", "at", "sp", "nst", "fsp"}
PUBLISHED = {
    "dkd": Weights(ce=1, kd=0, method=1),
    "dist": Weights(ce=1, kd=0, method=2),
    "lskd": Weights(ce=0.1, kd=0, method=9),
    "fitnet": Weights(ce=1, kd=0, method=100),
    "at": Weights(ce=1, kd=0, method=1000),
    "sp": Weights(ce=1, kd=0, method=3000),
    "cc": Weights(ce=1, kd=0, method=0.02),
    "vid": Weights(ce=1, kd=0, method=1),
    "rkd": Weights(ce=1, kd=0, method=1),
    "pkt": Weights(ce=1, kd=0, method=30000),
    "nst": Weights(ce=1, kd=0, method=50),
    "kdsvd": Weights(ce=1, kd=0, method=1),
    "ft": Weights(ce=1, kd=0, method=200),
    "fsp": Weights(ce=1, kd=0, method=0),
    "ab": Weights(ce=1, kd=0, method=0),
}


def double(name: str, options: dict[str, Any]) -> nn.Module:
    """Return a method in double precision, its BatchNorms at their running statistics."""
    return build(name, options).double().eval()


def drawn(name: str, rows: int = 6) -> tuple[Outputs, Outputs]:
    student = draw_outputs(STUDENT, rows, seed=1, dtype=torch.float64)
    teacher = draw_outputs(teacher_of(name), rows, seed=2, dtype=torch.float64)
    return student, frozen(teacher)


@pytest.mark.parametrize("name", ALL)
def test_published_defaults(name: str) -> None:
    method = registry.load(name)
    assert method.weights == PUBLISHED[name]
    assert method.couples_batch == (name in COUPLED)
    assert method.title
    assert "weight" in method.source
    needed = {"ab": "preactivations"}.get(name, "features") if name in MAPS else None
    assert needed is None or method.needs == {needed}
    assert method.trains_from_cache() == (name not in MAPS)


@variants
@quick
@given(
    rows=st.integers(1, 6),
    seed=st.integers(0, 99),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
    teacher_scale=st.sampled_from([0.0, 1.0, 1e4]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    relu=st.booleans(),
)
def test_values_and_gradients_are_finite(
    name: str,
    options: dict[str, Any],
    rows: int,
    seed: int,
    scale: float,
    teacher_scale: float,
    dtype: torch.dtype,
    relu: bool,
) -> None:
    method = build(name, options)
    if dtype == torch.float16:
        # Whose own range ends at 65,504, also that of the gradients.
        scale = teacher_scale = 1.0
    student = draw_outputs(STUDENT, rows, seed, scale, dtype)
    teacher = frozen(draw_outputs(teacher_of(name), rows, seed + 1, teacher_scale, dtype))
    if relu:
        seen = Outputs(*student[:2], *(tuple(m.relu() for m in maps) for maps in student[2:]))
    else:
        seen = student
    terms = terms_of(method, seen, teacher, labelled(rows, seed))
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values()), terms
    torch.stack(list(terms.values())).sum().backward()
    for tensor in (*leaves(student), *method.parameters()):
        assert tensor.grad is None or tensor.grad.isfinite().all()


@pytest.mark.parametrize("name", ["dkd", "dist", "lskd"])
def test_certain_networks_do_not_underflow(name: str) -> None:
    # One class at 1e4 and the others at -1e4: the probabilities of the others are exactly 0.
    student = torch.full((4, 5), -1e4).fill_diagonal_(1e4)
    teacher = student.roll(1, 0)
    logits = student.requires_grad_()
    empty = torch.empty(4, 0)
    batch = labelled(4)
    loss = loss_of(build(name), Outputs(logits, empty), Outputs(teacher, empty), batch)
    loss.backward()
    assert loss.isfinite()
    assert loss > 0
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@variants
def test_order_of_the_batch_does_not_matter(name: str, options: dict[str, Any]) -> None:
    method, (student, teacher) = double(name, options), drawn(name)
    labels = torch.tensor([0, 2, 4, 1, 0, 3])
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    loss = loss_of(method, student, teacher, batch_of(6, labels))
    mixed = loss_of(
        method, reordered(student, order), reordered(teacher, order), batch_of(6, labels[order])
    )
    # RepDistiller's variant of CC compares neighbours.
    same = name != "cc" or options.get("variant") == "kernel"
    assert torch.allclose(loss, mixed, rtol=1e-9) == same


@variants
def test_only_coupled_losses_depend_on_the_rest_of_the_batch(
    name: str, options: dict[str, Any]
) -> None:
    method, (student, teacher) = double(name, options), drawn(name)
    halves = [
        loss_of(method, reordered(student, rows), reordered(teacher, rows), batch_of(3, rows % 5))
        for rows in (torch.arange(3), torch.arange(3, 6))
    ]
    whole = loss_of(method, student, teacher, batch_of(6, torch.arange(6) % 5))
    assert torch.allclose(whole, sum(halves) / 2, rtol=1e-9) == (name not in COUPLED)


@variants
def test_roles_are_not_interchangeable(name: str, options: dict[str, Any]) -> None:
    """Swapped arguments show in the value; in a symmetric loss, in where the gradient goes."""
    method = build(name, options, STUDENT, STUDENT).double().eval()
    student = draw_outputs(STUDENT, 6, seed=1, dtype=torch.float64)
    teacher = draw_outputs(STUDENT, 6, seed=2, dtype=torch.float64)
    if name == "ft":
        # Leave the factors alone: student and translator differ, and so would the losses.
        method.translator = method.paraphraser.encoder
    batch = labelled(6)
    loss = loss_of(method, student, frozen(teacher), batch)
    swapped = loss_of(method, teacher, frozen(student), batch)
    assert torch.allclose(loss, swapped, rtol=1e-9) == (name in SYMMETRIC or name == "ft")
    loss.backward()
    assert any(tensor.grad is not None and tensor.grad.any() for tensor in leaves(student))
    assert all(tensor.grad is None for tensor in leaves(teacher))


@variants
@quick
@given(rows=st.integers(3, 6), seed=st.integers(0, 99))
def test_least_where_student_equals_teacher(
    name: str, options: dict[str, Any], rows: int, seed: int
) -> None:
    method = build(name, options, STUDENT, STUDENT).double()
    student = draw_outputs(STUDENT, rows, seed, dtype=torch.float64)
    other = draw_outputs(STUDENT, rows, seed + 100, dtype=torch.float64)
    match_parts(method)
    batch = labelled(rows, seed)
    least = loss_of(method, student, frozen(student), batch)
    more = loss_of(method, other, frozen(student), batch)
    if name == "ab":
        # The margin remains; for values beyond it nothing does.
        sure = student._replace(preactivations=tuple(3 * m.sign() for m in student.preactivations))
        least = loss_of(method, sure, frozen(student), batch)
    assert more > least
    if name != "vid":
        # The constant of DIST's denominator shows where predictions hardly vary.
        assert abs(least.item()) < (1e-2 if name == "dist" else 1e-7) * max(more.item(), 1)
    least.backward()
    gradients = [tensor.grad for tensor in leaves(student) if tensor.grad is not None]
    slope = 0.1 if name == "dist" else 1e-5
    assert all(bool((gradient.abs() < slope).all()) for gradient in gradients)


def match_parts(method: nn.Module) -> None:
    """Let a method's trainable parts do the same to the maps of student and teacher."""
    for name, part in list(method.named_children()):
        if name == "regressor":
            method.regressor = nn.Identity()
        if name == "student_embed":
            method.student_embed = method.teacher_embed
        if name == "translator":
            method.translator = method.paraphraser.encoder
        if name == "channels":
            for channel in part:
                channel.regressor = nn.Identity()


def test_distinct_networks_have_positive_distance() -> None:
    batch = labelled(6)
    for name, options in VARIANTS:
        student, teacher = drawn(name)
        value: Tensor = loss_of(double(name, options), student, teacher, batch)
        assert value > 0 or name == "vid", name


def test_unequal_numbers_of_stages_are_paired_not_cut_off() -> None:
    deeper = network(((6, 8, 8), (10, 4, 4), (8, 2, 2), (9, 2, 2)), embedding=12)
    for name in ("at", "vid", "nst", "ab"):
        method = build(name, {}, STUDENT, deeper)
        assert method.pairs == ((1, 1), (2, 2), (3, 4))
        student = draw_outputs(STUDENT, 3)
        teacher = frozen(draw_outputs(deeper, 3, seed=1))
        assert list(terms_of(method, student, teacher, labelled(3))) == [
            "stage1",
            "stage2",
            "stage3",
        ]
