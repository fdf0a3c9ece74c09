"""What attention-based feature distillation reads of a layer: far less than the layer itself.

Of the output of a block it uses one number a channel, which queries and keys are made of, and one
a place, which are compared. Reading them while the network runs spares the memory of all blocks of
the teacher, and that of the gradients of all blocks of the student at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from distillery.methods.parts.softpool import soft_pool

_Layer = TypeVar("_Layer")


class Reading(NamedTuple):
    """What is read of one layer."""

    description: Tensor
    """(B, c), each channel pooled over its places."""
    energy: Tensor
    """(B, h, w), mean over the channels of the squares."""


def read(block: Tensor, pool: Literal["average", "softpool"] = "average") -> Reading:
    """Read a block (B, c, h, w), in single precision at least."""
    dtype = block.dtype if block.element_size() >= 4 else torch.float32
    if pool == "softpool":
        description = soft_pool(block).to(dtype)
    else:
        description = block.mean((2, 3), dtype=dtype)
    # The norm keeps neither squares nor a copy in single precision for the backward pass.
    length = torch.linalg.vector_norm(block, dim=1, dtype=dtype)
    return Reading(description, length.square() / block.shape[1])


def pair_up(parts: Sequence[Tensor]) -> list[Reading]:
    """Return the readings of which ``parts`` are the tensors, one reading after the other."""
    return [Reading(*both) for both in zip(parts[::2], parts[1::2], strict=True)]


def detached(readings: Sequence[Reading]) -> list[Reading]:
    """Return the same readings without gradients."""
    return [Reading(*(part.detach() for part in reading)) for reading in readings]


def thinned(layers: Sequence[_Layer], limit: int) -> Sequence[_Layer]:
    """Return every n-th layer, ending with the last, with the least n that keeps to ``limit``."""
    step = max(math.ceil(len(layers) / limit), 1)
    return layers[(len(layers) - 1) % step :: step]
