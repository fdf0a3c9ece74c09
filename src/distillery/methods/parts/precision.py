"""Half precision in, single precision inside: sums of squares overflow or vanish in half."""

from __future__ import annotations

from torch import Tensor


def upcast(tensor: Tensor) -> Tensor:
    """Return a half-precision tensor of any shape in single precision, and others as they are."""
    return tensor.float() if tensor.element_size() < 4 else tensor
