"""Random numbers of a given generator, on the device and in the dtype of a given tensor.

They are drawn where the generator lives, so that a generator of the CPU gives the same numbers on
every device, and at least in single precision, which half types would ruin.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def normal(shape: Sequence[int], like: Tensor, generator: Generator) -> Tensor:
    """Return standard normal numbers of a shape, in the dtype of ``like``, of any shape."""
    numbers = torch.randn(shape, generator=generator, dtype=_wide(like), device=generator.device)
    return numbers.to(like)


def uniform(shape: Sequence[int], like: Tensor, generator: Generator) -> Tensor:
    """Return numbers from U[0, 1) of a shape, in the dtype of ``like``, of any shape."""
    numbers = torch.rand(shape, generator=generator, dtype=_wide(like), device=generator.device)
    return numbers.to(like)


def beta(alpha: float, shape: Sequence[int], like: Tensor, generator: Generator) -> Tensor:
    """Return numbers from Beta(alpha, alpha) of a shape, in the dtype of ``like``, of any shape."""
    shapes = torch.full((2, *shape), alpha, dtype=_wide(like), device=generator.device)
    # torch.distributions takes no generator.
    gammas: Tensor = torch._standard_gamma(shapes, generator=generator)
    first, second = gammas.unbind()
    return (first / (first + second)).to(like)


def _wide(like: Tensor) -> torch.dtype:
    return torch.promote_types(like.dtype, torch.float32)
