"""Margin ReLU and partial L2, the target and the distance of OFD (Heo et al., ICCV 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Channels that are negative more rarely than this take a margin of three standard deviations.
_RARE = 0.001
_SMALLEST_DEVIATION = 1e-12


def channel_margins(weight: Tensor, bias: Tensor) -> Tensor:
    """Return the mean negative response of each channel behind a BatchNorm.

    A channel is taken as normal with mean ``bias`` and deviation ``|weight|``; its margin is the
    expectation of its values below zero, or ``-3 |weight|`` where at most one value in a thousand
    is negative.

    Args:
        weight: (C,), that of the BatchNorm before the ReLU.
        bias: (C,), of the same BatchNorm.

    Returns:
        (C,) single precision, on the CPU, not positive.
    """
    deviation = weight.detach().cpu().double().abs().clamp_min(_SMALLEST_DEVIATION)
    mean = bias.detach().cpu().double()
    z = mean / deviation
    negative = 0.5 * torch.special.erfc(z / math.sqrt(2))
    # The density over the probability, in log space: both vanish far from zero.
    log_density = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    expectation = mean - deviation * torch.exp(log_density - torch.special.log_ndtr(-z))
    return torch.where(negative > _RARE, expectation, -3 * deviation).float()


def partial_l2(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    """Return the partial L2 distance to the margin-ReLU of the teacher, mean over the batch.

    The target of an element is ``max(teacher, margin)``. Its squared distance counts where the
    teacher is positive, and elsewhere only where the student lies above the target.

    Args:
        student: (B, C, H, W).
        teacher: (B, C, H, W).
        margin: broadcasts to them; not positive.

    Returns:
        Scalar, summed over C, H and W.
    """
    target = torch.maximum(teacher, margin)
    excess = student - target
    counts = (teacher > 0) | (excess > 0)
    return torch.where(counts, excess, 0.0).square().sum() / len(student)
