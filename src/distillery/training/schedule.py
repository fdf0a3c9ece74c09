"""The learning rate as a pure function of the epoch, so that resuming needs no scheduler state."""

from __future__ import annotations

import math

from distillery.training.settings import Training


def learning_rate(settings: Training, epoch: int) -> float:
    """Return the learning rate of ``epoch``, counted from 0.

    With the milestones (150, 180, 210) the first epoch at the lower rate has number 150 here, the
    151st of the run, as in the reference protocol of CRD.
    """
    if epoch < settings.warmup_epochs:
        return settings.lr * (epoch + 1) / settings.warmup_epochs
    if settings.schedule == "cosine":
        done = (epoch - settings.warmup_epochs) / (settings.epochs - settings.warmup_epochs)
        return settings.lr * (1 + math.cos(math.pi * done)) / 2
    decays = sum(epoch >= milestone for milestone in settings.resolved_milestones)
    return settings.lr * settings.gamma**decays
