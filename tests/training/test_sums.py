"""What is logged of an epoch is the sum over its steps, wherever the epoch was interrupted."""

from __future__ import annotations

import torch

from distillery.training.distiller import StepOutput
from distillery.training.sums import EpochSums

LABELS = torch.tensor([0, 1, 1])


def step(loss: float, answers: list[int] | None) -> StepOutput:
    """Return a step with a loss, a term of twice its size, and the student's answers."""
    logits = None if answers is None else torch.eye(2)[answers]
    value = torch.tensor(loss, requires_grad=True)
    return StepOutput(value, {"ce": 2 * value.detach()}, logits, {})


def test_sums_weight_each_step_by_its_images() -> None:
    sums = EpochSums({})
    assert sums.read() == {}
    sums.add(step(1.0, [0, 1, 0]), LABELS)
    sums.add(step(0.5, [0, 0]), LABELS[:2])
    found = {"loss": 4.0, "ce": 8.0, "train_top1": 300.0, "images": 5.0}
    assert sums.read() == found
    assert list(found) == list(sums.read())


def test_sums_go_on_where_they_were_interrupted() -> None:
    whole, first = EpochSums({}), EpochSums({})
    for sums in (whole, first):
        sums.add(step(0.1, [0, 1, 1]), LABELS)
    second = EpochSums(first.read())
    assert second.read() == first.read()
    for sums in (whole, second):
        sums.add(step(0.3, [1, 1, 1]), LABELS)
    assert second.read() == whole.read()


def test_a_step_without_the_student_has_no_answers() -> None:
    sums = EpochSums({})
    sums.add(step(1.0, None), LABELS)
    assert sums.read() == {"loss": 3.0, "ce": 6.0, "images": 3.0}


def test_the_first_term_that_is_not_finite_is_named_with_its_step() -> None:
    sums = EpochSums({})
    assert sums.not_finite() is None
    sums.add(step(1.0, None), LABELS)
    assert sums.not_finite() is None
    sums.add(step(float("nan"), None), LABELS)
    sums.add(step(1.0, None), LABELS)
    assert sums.not_finite() == ("ce", 1)
    only_the_loss = EpochSums({})
    infinite = StepOutput(torch.tensor(float("inf")), {"ce": torch.tensor(1.0)}, None, {})
    only_the_loss.add(infinite, LABELS)
    assert only_the_loss.not_finite() == ("loss", 0)
