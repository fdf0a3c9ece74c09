"""The optimiser of all training."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import torch
from torch import nn

from distillery.training.settings import Training


class _SGD(torch.optim.SGD):
    """SGD without torch's wrappers that import its compiler, which takes a second, to step past it.

    The optimiser is never compiled, so that these wrappers have nothing to do.
    """

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.SGD.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.SGD.state_dict)
    zero_grad = inspect.unwrap(torch.optim.SGD.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


def sgd(parameters: Iterable[nn.Parameter], settings: Training, lr: float) -> torch.optim.SGD:
    """Return stochastic gradient descent with momentum and weight decay, as the papers use it."""
    return _SGD(
        parameters,
        lr=lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
        fused=True,
    )
