"""Random perturbations of unit vectors that stay on the sphere.

Points are (..., D). A radius or concentration is a number, or a tensor (...) with one for each
point. All directions are equally likely; the laws differ in the angle from the point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor

from distillery.geometry import draws
from distillery.geometry.sphere import exponential, random_tangent, unit

Density = Literal["uniform", "surface"]
Schedule = Literal["constant", "linear", "class-spread"]


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


def cap(
    points: Tensor, radius: float | Tensor, generator: Generator, density: Density = "uniform"
) -> Tensor:
    """Draw points of the spherical caps around points.

    Args:
        points: unit vectors (..., D).
        radius: largest angle r in radians, at most pi.
        generator: source of the draws.
        density: ``uniform`` for an angle from U(0, r); ``surface`` for points that are uniform on
            the cap's surface, whose angle has a density proportional to ``sin(angle)^(D - 2)``:
            in many dimensions nearly all of them lie close to the rim.

    Returns:
        Unit vectors (..., D).

    Raises:
        ValueError: for another density.
    """
    if density not in ("uniform", "surface"):
        raise ValueError(f"density must be uniform or surface, not {density}")
    radii = _of_each(radius, points)
    # On a circle the surface density is uniform in the angle.
    if density == "surface" and points.shape[-1] > 2:
        angles = _surface_angles(radii, points.shape[-1], generator)
    else:
        angles = radii * draws.uniform(radii.shape, radii, generator)
    return _move(points, angles, generator)


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


def radius_at(
    schedule: Schedule,
    radius: float,
    progress: float,
    spread: float | Tensor | None = None,
) -> float | Tensor:
    """Return the radius at a moment of the training.

    Args:
        schedule: ``constant``; ``linear`` for growth from 0 to ``radius``; ``class-spread`` for
            ``radius`` times ``spread``.
        radius: in radians; with ``class-spread`` a factor.
        progress: share of the training that is done, from 0 to 1.
        spread: mean angle between points of the same class in radians, for all or for each point.

    Returns:
        Radians; a tensor if it depends on a ``spread`` that is one.

    Raises:
        ValueError: for another schedule, or ``class-spread`` without a spread.
    """
    if schedule == "constant":
        return radius
    if schedule == "linear":
        return radius * progress
    if schedule == "class-spread" and spread is not None:
        return radius * spread
    raise ValueError(
        "schedule must be constant, linear, or class-spread with a spread,"
        f" not {schedule} with {spread}"
    )


def _of_each(value: float | Tensor, points: Tensor) -> Tensor:
    """Return a value for each point, (...), in at least single precision."""
    dtype = torch.promote_types(points.dtype, torch.float32)
    value = torch.as_tensor(value, dtype=dtype, device=points.device)
    return value.expand(points.shape[:-1])


def _move(points: Tensor, angles: Tensor, generator: Generator) -> Tensor:
    """Move points (..., D) by angles (...) in random directions."""
    return exponential(points, angles[..., None].to(points) * random_tangent(points, generator))


def _surface_angles(radii: Tensor, dim: int, generator: Generator) -> Tensor:
    """Draw angles up to ``radii`` (...) with a density proportional to ``sin(angle)^(dim - 2)``.

    The versine x = 1 - cos(angle) has the density ``(x (2 - x))^((dim - 3) / 2)``, whose logarithm
    is concave: it lies below its tangent at the rim of the cap (at the equator, where the cap goes
    beyond it), and an exponential law is easy to draw.
    """
    power = (dim - 3) / 2
    rims = _versine(radii).flatten()
    touches = rims.clamp(max=1)
    # For x in units of the rim; a slope of 0 would be a case of its own.
    slopes = (2 * power * (1 - touches) / (2 - touches)).clamp_min(torch.finfo(rims.dtype).eps)

    def propose(rows: Tensor) -> tuple[Tensor, Tensor]:
        rim, touch, slope = rims[rows], touches[rows], slopes[rows]
        share = 1 + (draws.uniform(rim.shape, rim, generator) * (-slope).expm1()).log1p() / slope
        x = rim * share
        relative_density = (share * rim.clamp_min(1) * (2 - x) / (2 - touch)).log() * power
        return x, relative_density + slope * (1 - share)

    versines = _by_rejection(propose, rims, generator)
    # Rounding may lead beyond the rim.
    return torch.minimum(_inverse_versine(versines.view_as(radii)), radii)


def _fisher_angles(concentration: Tensor, dim: int, generator: Generator) -> Tensor:
    """Draw angles from the mean direction for each concentration (...).

    Wood's algorithm with versines in the place of cosines, which are all 1 to rounding where the
    concentration is high.
    """
    kappas = concentration.flatten()
    slants = (dim - 1) / (2 * kappas + torch.hypot(2 * kappas, kappas.new_tensor(dim - 1)))
    # The versine at which envelope and density touch.
    touches = 2 * slants / (1 + slants)

    def propose(rows: Tensor) -> tuple[Tensor, Tensor]:
        kappa, slant, touch = kappas[rows], slants[rows], touches[rows]
        z = draws.beta((dim - 1) / 2, kappa.shape, kappa, generator)
        x = 2 * slant * z / (1 - (1 - slant) * z)
        quotient = (touch + (1 - touch) * x) / (touch * (2 - touch))
        return x, kappa * (touch - x) + (dim - 1) * quotient.log()

    versines = _by_rejection(propose, kappas, generator)
    return _inverse_versine(versines.view_as(concentration))


def _by_rejection(
    propose: Callable[[Tensor], tuple[Tensor, Tensor]], like: Tensor, generator: Generator
) -> Tensor:
    """Draw a number for each element of ``like`` (N,), again and again until it is accepted.

    Args:
        propose: gives numbers for rows and the logarithms of the probabilities to accept them; NaN
            is accepted, for it would be NaN for ever.
        like: gives shape, dtype and device.
        generator: source of the draws.

    Returns:
        (N,).
    """
    pending = torch.arange(like.numel(), device=like.device)
    accepted = torch.empty_like(like)
    while len(pending):
        numbers, log_probability = propose(pending)
        refused = log_probability < draws.uniform(numbers.shape, numbers, generator).log()
        accepted[pending] = numbers
        pending = pending[refused]
    return accepted


def _versine(angle: Tensor) -> Tensor:
    return 2 * (angle / 2).sin() ** 2


def _inverse_versine(x: Tensor) -> Tensor:
    return 2 * (x / 2).clamp(0, 1).sqrt().asin()
