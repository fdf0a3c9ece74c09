"""A network that was trained with another mean and deviation than images are normalised with."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from distillery.data.info import DataSetInfo
from distillery.models.base import Classifier


def renormalised(network: Classifier, shown: DataSetInfo, own: DataSetInfo) -> Classifier:
    """Return the network, which takes images (B, C, H, W) normalised for another one from now on.

    Args:
        network: gets the images.
        shown: mean and deviation that they are normalised with.
        own: those that the network expects.
    """
    if (shown.mean, shown.std) == (own.mean, own.std):
        return network
    columns = [torch.tensor(each).double() for each in (shown.mean, shown.std, own.mean, own.std)]
    mean, std, own_mean, own_std = (each.view(1, -1, 1, 1) for each in columns)
    # Buffers move with the network, and are no weights.
    network.register_buffer("_scale", (std / own_std).float(), persistent=False)
    network.register_buffer("_shift", ((mean - own_mean) / own_std).float(), persistent=False)
    network.register_forward_pre_hook(_rescale)
    return network


def _rescale(network: nn.Module, arguments: Any) -> Any:
    images, *others = arguments
    return (images * network._scale + network._shift, *others)
