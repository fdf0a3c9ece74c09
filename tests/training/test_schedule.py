from __future__ import annotations

import pytest
from pydantic import ValidationError

from distillery.training.schedule import learning_rate, step_decay
from distillery.training.settings import Training


def test_reference_schedule() -> None:
    training = Training()
    rates = [learning_rate(training, epoch) for epoch in (0, 149, 150, 179, 180, 209, 210, 239)]
    assert rates == pytest.approx([0.05, 0.05, 5e-3, 5e-3, 5e-4, 5e-4, 5e-5, 5e-5])


def test_a_decay_comes_with_its_milestone() -> None:
    rates = [step_decay(0.8, epoch, (1, 3), gamma=0.5) for epoch in range(4)]
    assert rates == [0.8, 0.4, 0.4, 0.2]
    assert step_decay(0.1, 5, ()) == 0.1
    assert step_decay(0.1, 5, (5,)) == pytest.approx(0.01)


def test_milestones_scale_with_the_number_of_epochs() -> None:
    assert Training().resolved_milestones == (150, 180, 210)
    assert Training(epochs=16).resolved_milestones == (10, 12, 14)
    assert Training(epochs=2).resolved_milestones == (1,)
    assert Training(epochs=1).resolved_milestones == ()


def test_cosine_ends_near_zero_and_warm_up_rises() -> None:
    training = Training(epochs=100, schedule="cosine", warmup_epochs=5, lr=0.1)
    rates = [learning_rate(training, epoch) for epoch in range(100)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert rates[5] == pytest.approx(0.1)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 1e-4


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"milestones": [10, 5]},
        {"epochs": 10, "milestones": [10]},
        {"epochs": 3, "warmup_epochs": 3},
        {"momentum": 0, "nesterov": True},
        {"batch_size": 1},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Training(**wrong)  # type: ignore[arg-type]
