"""Random copies around points of the sphere: the perturbing reading of "diffusion"."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from distillery.core.settings import FrozenModel
from distillery.geometry import diffusion

# Below this radius (0.06 degrees) the concentration would leave single precision.
_SMALLEST = 1e-3


class DiffusionOptions(FrozenModel):
    """Random copies of the synthetic points."""

    kind: Literal["none", "gaussian", "cap", "vmf", "random-walk"] = "none"
    """Normal noise; a spherical cap; von Mises-Fisher; or steps in random directions."""
    radius: float = Field(default=0.2, gt=0, le=math.pi / 2)
    """Angle in radians: about that moved by `gaussian` and `random-walk`, that of the mean cosine
    of `vmf`, the rim of `cap`; with the schedule `class-spread` a factor of the spread."""
    schedule: diffusion.Schedule = "constant"
    """The radius is constant, grows linearly over the run from nothing, or is a multiple of the
    mean angle between points of a class in the batch."""
    copies: int = Field(default=1, ge=1)
    """Points in the place of each."""
    density: diffusion.Density = "uniform"
    """Of `cap`: uniform in the angle, or on the surface."""
    steps: int = Field(default=4, ge=1)
    """Of `random-walk`."""


def perturb(
    points: Tensor, radius: float | Tensor, options: DiffusionOptions, generator: Generator
) -> Tensor:
    """Return random copies of points.

    Args:
        points: (..., n, D) unit vectors.
        radius: in radians, of all or of each point (..., n).
        options: law and number of copies.
        generator: source of the draws.

    Returns:
        (..., n * copies, D) unit vectors, the copies of a point adjacent; ``points`` without
        diffusion.
    """
    if options.kind == "none":
        return points
    copied = points.repeat_interleave(options.copies, dim=-2)
    if isinstance(radius, Tensor):
        radius = radius.repeat_interleave(options.copies, dim=-1).clamp(max=math.pi / 2)
    if options.kind == "gaussian":
        return diffusion.gaussian(copied, radius, generator)
    if options.kind == "cap":
        return diffusion.cap(copied, radius, generator, options.density)
    if options.kind == "random-walk":
        return diffusion.random_walk(copied, radius, options.steps, generator)
    return diffusion.von_mises_fisher(copied, concentration(radius, points), generator)


def concentration(radius: float | Tensor, like: Tensor) -> Tensor:
    """Return kappa of a von Mises-Fisher law whose mean cosine is about that of ``radius``.

    The inverse of ``kappa / (v + sqrt(kappa^2 + v^2))`` with ``v = (D - 1) / 2``.

    Args:
        radius: radians, up to pi / 2.
        like: (..., D), gives D, dtype and device.
    """
    radius = torch.as_tensor(radius, dtype=like.dtype, device=like.device).clamp_min(_SMALLEST)
    return (like.shape[-1] - 1) * radius.cos().clamp_min(0) / radius.sin().square()
