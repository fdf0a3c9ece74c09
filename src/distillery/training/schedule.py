"""The learning rate as a pure function of the epoch, so that resuming needs no scheduler state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distillery.training.settings import Training


def learning_rate(settings: Training, epoch: int) -> float:
    """Return the learning rate of ``epoch``, counted from 0."""
    if epoch < settings.warmup_epochs:
        return settings.lr * (epoch + 1) / settings.warmup_epochs
    if settings.schedule == "cosine":
        done = (epoch - settings.warmup_epochs) / (settings.epochs - settings.warmup_epochs)
        return settings.lr * (1 + math.cos(math.pi * done)) / 2
    return step_decay(settings.lr, epoch, settings.resolved_milestones, settings.gamma)


def step_decay(lr: float, epoch: int, milestones: Sequence[int], gamma: float = 0.1) -> float:
    """Return the rate of ``epoch``, counted from 0, that each milestone multiplies by ``gamma``.

    With the milestones (150, 180, 210) the first epoch at the lower rate has number 150 here, the
    151st of the run, as in the reference protocol of CRD.
    """
    return lr * gamma ** sum(epoch >= milestone for milestone in milestones)
