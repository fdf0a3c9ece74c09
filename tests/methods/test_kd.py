from __future__ import annotations

import torch
from helpers import batch_of, context, outputs
from hypothesis import given
from hypothesis import strategies as st

from distillery.methods.kd import KD


def kd_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    method = KD(KD.Options(temperature=temperature), context())
    return method(outputs(logits=student), outputs(logits=teacher), batch_of(len(student)))["kd"]


@given(
    batch=st.integers(1, 9),
    classes=st.integers(2, 20),
    temperature=st.floats(0.5, 10),
    scale=st.sampled_from([1.0, 100.0, 1e4]),
)
def test_finite_and_never_negative(
    batch: int, classes: int, temperature: float, scale: float
) -> None:
    student = (scale * torch.randn(batch, classes)).requires_grad_()
    loss = kd_loss(student, scale * torch.randn(batch, classes), temperature)
    loss.backward()
    assert loss >= -1e-4
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_zero_when_student_equals_teacher() -> None:
    logits = torch.randn(5, 10)
    assert kd_loss(logits, logits.clone(), 4.0).abs() < 1e-6


def test_swapped_arguments_are_noticed() -> None:
    one, other = torch.randn(5, 10), torch.randn(5, 10)
    assert not torch.isclose(kd_loss(one, other, 4.0), kd_loss(other, one, 4.0))


def test_bfloat16_is_finite() -> None:
    method = KD(KD.Options(), context())
    logits = torch.randn(4, 10).bfloat16()
    terms = method(outputs(logits=logits), outputs(logits=logits.flip(0)), batch_of(4))
    assert terms["kd"].isfinite()
