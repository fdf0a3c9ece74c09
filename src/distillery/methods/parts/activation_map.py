"""Where in the image a network is active: the spatial maps that AT and FT compare."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def activation_map(maps: Tensor, power: int) -> Tensor:
    """Return the mean over channels of the maps raised to ``power``, as unit vectors.

    Args:
        maps: (B, C, H, W).
        power: positive integer.

    Returns:
        (B, H * W), of Euclidean length 1; 0 for a sample without any activity.
    """
    if power % 2 == 0:
        # The norm keeps no powers of the maps for the backward pass.
        activity = torch.linalg.vector_norm(maps, power, dim=1).pow(power) / maps.shape[1]
    else:
        activity = maps.pow(power).mean(dim=1)
    return F.normalize(activity.flatten(1), dim=1)
