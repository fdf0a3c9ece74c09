"""What it costs to run a network, counted on tensors without content."""

from __future__ import annotations

import torch

from distillery.core.measuring import count_flops
from distillery.models.base import ModelSpec
from distillery.models.outline import outline


def forward_flops(spec: ModelSpec) -> int:
    """Return the FLOPs of classifying one image, counted without computing anything."""
    network = outline(
        spec.arch,
        num_classes=spec.num_classes,
        in_channels=spec.in_channels,
        image_size=spec.image_size,
    )
    network = network.eval().to("meta")
    shape = (1, spec.in_channels, spec.image_size, spec.image_size)
    image = torch.empty(shape, device="meta")
    with torch.no_grad():
        return count_flops(lambda: network(image))
