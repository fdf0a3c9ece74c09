"""Describes a network without its weights."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from distillery.models.base import ModelSpec
from distillery.models.outline import outline


@cache
def describe(arch: str, num_classes: int, in_channels: int, image_size: int) -> ModelSpec:
    """Describe a network by a forward pass of no images, which computes nothing.

    Raises:
        UserError: there is no such architecture.
    """
    with torch.no_grad():
        model = outline(arch, num_classes=num_classes, in_channels=in_channels).eval()
        images = torch.empty(0, in_channels, image_size, image_size)
        outputs = model(images, features=True, blocks=True, last_map=True)
    return ModelSpec(
        arch=arch,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        embedding_dim=model.embedding_dim,
        feature_shapes=_shapes(outputs.features),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        block_shapes=_shapes(outputs.blocks),
        map_shape=_shapes((outputs.last_map,))[0],
    )


def _shapes(maps: tuple[Tensor, ...]) -> tuple[tuple[int, int, int], ...]:
    return tuple((each.shape[1], each.shape[2], each.shape[3]) for each in maps)
