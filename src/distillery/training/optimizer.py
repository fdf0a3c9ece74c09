"""The optimiser of all training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from distillery.training.settings import Training


def sgd(parameters: Iterable[nn.Parameter], settings: Training, lr: float) -> torch.optim.SGD:
    """Return stochastic gradient descent with momentum and weight decay, as the papers use it."""
    return torch.optim.SGD(
        parameters,
        lr=lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
        fused=True,
    )
