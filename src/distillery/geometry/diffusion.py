"""Random perturbations of unit vectors that stay on the sphere.

Points are (..., D). A radius or concentration is a number, or a tensor (...) with one for each
point. All directions are equally likely; the laws differ in the angle from the point.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from distillery.geometry import draws
from distillery.geometry.sphere import exponential, random_tangent, unit


def gaussian(points: Tensor, radius: float | Tensor, generator: Generator) -> Tensor:
    """Add normal noise and project back to the sphere.

    Args:
        points: unit vectors (..., D).
        radius: r in radians; the noise has deviation ``tan(r) / sqrt(D - 1)``, so that r is about
            the angle moved. From pi / 2 on, the results are uniform on the sphere.
        generator: source of the draws.

    Returns:
        Unit vectors (..., D).
    """
    dim = points.shape[-1]
    sigma = _of_each(radius, points).clamp(max=math.pi / 2).tan() / math.sqrt(dim - 1)
    noise = draws.normal(points.shape, sigma, generator)
    return unit(points + sigma[..., None] * noise).to(points)


def cap(points: Tensor, radius: float | Tensor, generator: Generator) -> Tensor:
    """Draw points of the spherical caps around points, at angles from U(0, r).

    In many dimensions nearly all of a cap's surface lies close to its rim; these points do not.

    Args:
        points: unit vectors (..., D).
        radius: largest angle r in radians, at most pi.
        generator: source of the draws.

    Returns:
        Unit vectors (..., D).
    """
    radii = _of_each(radius, points)
    return _move(points, radii * draws.uniform(radii.shape, radii, generator), generator)


def von_mises_fisher(points: Tensor, concentration: float | Tensor, generator: Generator) -> Tensor:
    """Draw from von Mises-Fisher distributions with the points as mean directions.

    Rejection after Wood 1994, "Simulation of the von Mises Fisher distribution".

    Args:
        points: unit vectors (..., D).
        concentration: kappa, at least 0 (uniform on the sphere). The mean cosine is about
            ``kappa / (v + sqrt(kappa^2 + v^2))`` with ``v = (D - 1) / 2``.
        generator: source of the draws.

    Returns:
        Unit vectors (..., D).
    """
    angles = _fisher_angles(_of_each(concentration, points), points.shape[-1], generator)
    return _move(points, angles, generator)


def random_walk(points: Tensor, radius: float | Tensor, steps: int, generator: Generator) -> Tensor:
    """Take ``steps`` steps of length ``r / sqrt(steps)`` in random directions of the sphere.

    The mean square of the angle moved is about r^2, whatever the number of steps; the mean cosine
    is ``cos(r / sqrt(steps))^steps``.

    Args:
        points: unit vectors (..., D).
        radius: r in radians.
        steps: number of steps, at least 1.
        generator: source of the draws.

    Returns:
        Unit vectors (..., D).
    """
    step = _of_each(radius, points) / math.sqrt(steps)
    for _ in range(steps):
        points = _move(points, step, generator)
    return points


def _of_each(value: float | Tensor, points: Tensor) -> Tensor:
    """Return a value for each point, (...), in at least single precision."""
    dtype = torch.promote_types(points.dtype, torch.float32)
    value = torch.as_tensor(value, dtype=dtype, device=points.device)
    return value.expand(points.shape[:-1])


def _move(points: Tensor, angles: Tensor, generator: Generator) -> Tensor:
    """Move points (..., D) by angles (...) in random directions."""
    return exponential(points, angles[..., None].to(points) * random_tangent(points, generator))


def _fisher_angles(concentration: Tensor, dim: int, generator: Generator) -> Tensor:
    """Draw angles from the mean direction for each concentration (...).

    Wood's algorithm with versines x = 1 - cos(angle), for cosines are all 1 to rounding where the
    concentration is high. Proposals are drawn again and again until all are accepted; NaN is, for
    it would be NaN for ever.
    """
    kappas = concentration.flatten()
    slants = (dim - 1) / (2 * kappas + torch.hypot(2 * kappas, kappas.new_tensor(dim - 1)))
    # The versine at which envelope and density touch.
    touches = 2 * slants / (1 + slants)
    versines = torch.empty_like(kappas)
    pending = torch.arange(kappas.numel(), device=kappas.device)
    while len(pending):
        kappa, slant, touch = kappas[pending], slants[pending], touches[pending]
        z = draws.beta((dim - 1) / 2, kappa.shape, kappa, generator)
        x = 2 * slant * z / (1 - (1 - slant) * z)
        quotient = (touch + (1 - touch) * x) / (touch * (2 - touch))
        log_probability = kappa * (touch - x) + (dim - 1) * quotient.log()
        refused = log_probability < draws.uniform(x.shape, x, generator).log()
        versines[pending] = x
        pending = pending[refused]
    angles = 2 * (versines / 2).clamp(0, 1).sqrt().asin()
    return angles.view_as(concentration)
