"""The optimiser of all training."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from distillery.training.settings import Training


def _plain(kind: type[Optimizer]) -> Any:
    """Return an optimiser without torch's wrappers that import its compiler, for a second.

    The optimiser is never compiled, so that these wrappers have nothing to do.
    """
    names = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    bare = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(
        kind.__name__, (kind,), {**bare, "step": torch.no_grad()(inspect.unwrap(kind.step))}
    )


_SGD = _plain(torch.optim.SGD)
_ADAMW = _plain(torch.optim.AdamW)


def new_optimizer(parameters: Iterable[nn.Parameter], settings: Training, lr: float) -> Optimizer:
    """Return the optimiser that the settings name, with weight decay on everything."""
    common: dict[str, Any] = {"lr": lr, "weight_decay": settings.weight_decay, "fused": True}
    made: Optimizer
    if settings.optimizer == "adamw":
        made = _ADAMW(parameters, betas=(settings.momentum, settings.beta2), **common)
    else:
        # As the papers use it.
        made = _SGD(parameters, momentum=settings.momentum, nesterov=settings.nesterov, **common)
    return made
