"""Builds networks of which only the layers matter, not the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from distillery.models import registry
from distillery.models.naming import defined_elsewhere

if TYPE_CHECKING:
    from distillery.models.base import Classifier


def outline(
    arch: str, *, num_classes: int, in_channels: int = 3, image_size: int = 32
) -> Classifier:
    """Return a network whose weights do not matter; torch's generator stays as it is.

    Those of our own families are whatever was in memory.

    On the meta device, torch would load its compiler, which takes more than a second.

    Raises:
        UserError: there is no such architecture.
    """
    # Others draw their weights anew until they like them.
    filling = nullcontext() if defined_elsewhere(arch) else _Unfilled()
    with torch.random.fork_rng(devices=()), filling:
        return registry.build(
            arch, num_classes=num_classes, in_channels=in_channels, image_size=image_size
        )


class _Unfilled(TorchFunctionMode):
    """Leaves tensors as they are where they would be filled, so that no memory is touched."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _FILLING:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


# Modes see those of ``nn.init`` that hand over to them, and what the others call.
_FILLING = frozenset(
    {
        Tensor.normal_,
        Tensor.uniform_,
        Tensor.fill_,
        Tensor.zero_,
        nn.init.normal_,
        nn.init.uniform_,
        nn.init.constant_,
        nn.init.kaiming_uniform_,
    }
)
