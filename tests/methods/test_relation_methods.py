"""Where methods of RepDistiller's zoo and of the logits are least, and what pulls on whom."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from feature_probes import draw_outputs, labelled, leaves, network, quick
from hypothesis import given
from hypothesis import strategies as st
from relation_methods import (
    IDS,
    STUDENT,
    VARIANTS,
    build,
    frozen,
    loss_of,
    teacher_of,
    terms_of,
)
from torch import Tensor, nn

from distillery.models.base import Outputs

variants = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
SYMMETRIC = {"dist", "rkd", "at", "sp", "nst", "fsp"}


def double(name: str, options: dict[str, Any]) -> nn.Module:
    """Return a method in double precision, its BatchNorms at their running statistics."""
    return build(name, options).double().eval()


def drawn(name: str, rows: int = 6) -> tuple[Outputs, Outputs]:
    student = draw_outputs(STUDENT, rows, seed=1, dtype=torch.float64)
    teacher = draw_outputs(teacher_of(name), rows, seed=2, dtype=torch.float64)
    return student, frozen(teacher)


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
