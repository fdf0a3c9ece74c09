"""Describes a network without its weights."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from distillery.core.errors import UserError
from distillery.models.base import ModelSpec
from distillery.models.naming import defined_elsewhere, source_of
from distillery.models.outline import outline


def describe(arch: str, num_classes: int, in_channels: int, image_size: int) -> ModelSpec:
    """Describe a network by a forward pass, of no images where its code allows for that.

    Raises:
        UserError: there is no such architecture, or it is not for such images.
    """
    return _described(arch, source_of(arch), num_classes, in_channels, image_size)


@cache
def _described(
    arch: str, source: str | None, num_classes: int, in_channels: int, image_size: int
) -> ModelSpec:
    """Describe it once for each ``source``, the code of an own network."""
    # Others divide by the number of images.
    count = 1 if defined_elsewhere(arch) else 0
    with torch.no_grad():
        model = outline(
            arch, num_classes=num_classes, in_channels=in_channels, image_size=image_size
        ).eval()
        images = torch.zeros(count, in_channels, image_size, image_size)
        try:
            outputs = model(
                images,
                features="features" in model.supplies,
                blocks="blocks" in model.supplies,
                last_map="last_map" in model.supplies,
            )
        except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(
                f"model '{arch}' cannot see {in_channels} x {image_size} x {image_size} images "
                f"({reason}); see `image_size` of the data set"
            ) from None
    return ModelSpec(
        arch=arch,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        embedding_dim=model.embedding_dim,
        feature_shapes=_shapes(outputs.features),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        block_shapes=_shapes(outputs.blocks),
        map_shape=next(iter(_shapes((outputs.last_map,))), None),
        supplies=model.supplies,
    )


def _shapes(maps: tuple[Tensor | None, ...]) -> tuple[tuple[int, int, int], ...]:
    return tuple((each.shape[1], each.shape[2], each.shape[3]) for each in maps if each is not None)
