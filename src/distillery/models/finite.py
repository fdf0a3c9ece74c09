"""Numbers that no network can have: not finite, negative variances, other than real ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_VARIANCE = "running_var"


def improper(name: str, value: Tensor, like: Tensor | None = None) -> str | None:
    """Say in words what is wrong with a weight; None if nothing is.

    Args:
        name: of the weight, by which a variance is known.
        value: (n, ...), of any kind.
        like: (n, ...), what stands in its place in the network, if its kind is to be the same.
    """
    real = like is None or like.is_floating_point()
    if real != value.is_floating_point() or (not real and value.dtype == torch.bool):
        kind = str(value.dtype).removeprefix("torch.")
        if like is None and value.dtype == torch.int64:
            return None
        return f"is of type {kind}, which is no {'real number' if real else 'counter'}"
    if not real:
        return None
    if not value.isfinite().all():
        return "holds NaN" if value.isnan().any() else "holds an infinite value"
    if name.rpartition(".")[2] == _VARIANCE and (value < 0).any():
        return "holds a negative variance"
    return None


@torch.no_grad()
def first_improper_weight(module: nn.Module) -> str | None:
    """Return the first parameter or buffer that no network can have, and why; None if all can."""
    for name, value in _tensors(module):
        if value.is_floating_point():
            wrong = improper(name, value)
            if wrong:
                return f"'{name}' {wrong}"
    return None


@torch.inference_mode()
def first_improper_layer(network: nn.Module, images: Tensor) -> str | None:
    """Return the path of the first layer whose output is not finite; None if all are.

    Args:
        network: in evaluation mode.
        images: (B, C, H, W), normalised.
    """
    found: list[str] = []

    def note(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not output.isfinite().all():
                found.append(path)

        return hook

    handles = [
        module.register_forward_hook(note(path))
        for path, module in network.named_modules()
        if not list(module.children())
    ]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()
