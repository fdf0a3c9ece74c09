"""Describes a network without its weights."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from distillery.models import registry
from distillery.models.base import ModelSpec


@cache
def describe(arch: str, num_classes: int, in_channels: int, image_size: int) -> ModelSpec:
    """Describe a network by a forward pass on the meta device: no weights, no random numbers.

    The first meta tensors of a process make torch load its compiler (3 s), as its optimisers do.

    Raises:
        UserError: there is no such architecture.
    """
    with torch.device("meta"), torch.no_grad():
        model = registry.build(arch, num_classes=num_classes, in_channels=in_channels).eval()
        images = torch.empty(1, in_channels, image_size, image_size)
        outputs = model(images, features=True, blocks=True)
    return ModelSpec(
        arch=arch,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        embedding_dim=model.embedding_dim,
        feature_shapes=_shapes(outputs.features),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        block_shapes=_shapes(outputs.blocks),
    )


def _shapes(maps: tuple[Tensor, ...]) -> tuple[tuple[int, int, int], ...]:
    return tuple((each.shape[1], each.shape[2], each.shape[3]) for each in maps)
