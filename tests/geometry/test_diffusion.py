from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sphere_points import D, generator, is_unit, random_points, seeds
from torch import Tensor

from distillery.geometry import diffusion
from distillery.geometry.sphere import angle

MANY = 4000

LAWS: dict[str, Callable[[Tensor, float | Tensor, torch.Generator], Tensor]] = {
    "gaussian": diffusion.gaussian,
    "cap": diffusion.cap,
    "von-mises-fisher": lambda p, r, g: diffusion.von_mises_fisher(p, 100 * r, g),
    "random-walk": lambda p, r, g: diffusion.random_walk(p, r, 4, g),
}


def moved(points: Tensor, law: Callable[[Tensor], Tensor]) -> np.ndarray:
    return angle(points, law(points)).numpy()


def many(dim: int) -> Tensor:
    return random_points(MANY, dim)


def surface_cdf(phi: np.ndarray, dim: int) -> np.ndarray:
    """Return the share of the sphere's surface within an angle of a point."""
    below = special.betainc((dim - 1) / 2, 0.5, np.sin(phi) ** 2) / 2
    return np.where(phi <= math.pi / 2, below, 1 - below)


# Gaussian


@pytest.mark.parametrize(
    ("sigma", "degrees"), [(0.01, 6.4), (0.02, 12.7), (0.05, 29.3), (0.1, 48.5)]
)
def test_gaussian_angles_in_128_dimensions(sigma: float, degrees: float) -> None:
    radius = math.atan(sigma * math.sqrt(D - 1))
    assert math.degrees(radius) == pytest.approx(degrees, abs=0.11)
    found = moved(many(D), lambda p: diffusion.gaussian(p, radius, generator()))
    assert math.degrees(found.mean()) == pytest.approx(degrees, abs=0.25)


@given(radius=st.floats(0, 1.5), seed=seeds)
@settings(deadline=None, max_examples=20)
def test_a_radius_becomes_a_deviation(radius: float, seed: int) -> None:
    points = random_points(6, D, seed=seed)
    noise = torch.randn(6, D, generator=generator(seed), dtype=torch.float64)
    expected = points + math.tan(radius) / math.sqrt(D - 1) * noise
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(diffusion.gaussian(points, radius, generator(seed)), expected)


@pytest.mark.parametrize("radius", [math.pi / 2, 2.0, 50.0])
def test_a_wide_gaussian_is_uniform_on_the_sphere(radius: float) -> None:
    found = moved(many(4), lambda p: diffusion.gaussian(p, radius, generator()))
    assert stats.kstest(found, lambda phi: surface_cdf(phi, 4)).pvalue > 1e-3


# Caps


@given(radius=st.floats(0, math.pi), dim=st.sampled_from([2, 3, 8, 128]), seed=seeds)
@settings(deadline=None, max_examples=30)
def test_a_cap_is_never_left(radius: float, dim: int, seed: int) -> None:
    points = random_points(100, dim, seed=seed)
    found = diffusion.cap(points, radius, generator(seed))
    assert is_unit(found)
    assert (angle(points, found) <= radius + 1e-12).all()


@pytest.mark.parametrize("radius", [0.05, 1.0, 3.0])
def test_angles_in_a_cap_are_uniform(radius: float) -> None:
    found = moved(many(D), lambda p: diffusion.cap(p, radius, generator()))
    assert stats.kstest(found, stats.uniform(0, radius).cdf).pvalue > 1e-3


# Von Mises-Fisher


@pytest.mark.parametrize(
    ("kappa", "expected"), [(50, 0.35), (100, 0.55), (500, 0.88), (1000, 0.94)]
)
def test_mean_cosines_in_128_dimensions(kappa: float, expected: float) -> None:
    points = many(D)
    found = (points * diffusion.von_mises_fisher(points, kappa, generator())).sum(-1).mean().item()
    assert found == pytest.approx(expected, abs=0.006)
    half = (D - 1) / 2
    assert found == pytest.approx(kappa / (half + math.hypot(kappa, half)), abs=0.004)


@pytest.mark.parametrize("kappa", [0.0, 1.0, 20.0, 300.0, 1e4])
@pytest.mark.parametrize("dim", [2, 3, 16, D])
def test_mean_cosines_are_the_ratio_of_bessel_functions(dim: int, kappa: float) -> None:
    points = many(dim)
    cosines = (points * diffusion.von_mises_fisher(points, kappa, generator())).sum(-1)
    expected = special.ive(dim / 2, kappa) / special.ive(dim / 2 - 1, kappa) if kappa else 0.0
    error = cosines.std().item() / math.sqrt(MANY)
    assert cosines.mean().item() == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("kappa", [2.0, 200.0])
@pytest.mark.parametrize("dim", [3, D])
def test_the_whole_law_is_that_of_scipy(dim: int, kappa: float) -> None:
    points = many(dim)
    cosines = (points * diffusion.von_mises_fisher(points, kappa, generator())).sum(-1).numpy()
    mean = np.eye(dim)[0]
    law = stats.vonmises_fisher(mean, kappa)
    others = law.rvs(MANY, random_state=np.random.default_rng(0)) @ mean
    assert stats.ks_2samp(cosines, others).pvalue > 1e-3


def test_single_precision_angles_are_as_good_for_high_concentrations() -> None:
    points = random_points(MANY, D, dtype=torch.float32)
    found = angle(points, diffusion.von_mises_fisher(points, 1e8, generator()))
    # A normal law in the tangent plane: kappa times the squared angle is chi-square.
    squares = 1e8 * found.double().square().numpy()
    assert stats.kstest(squares, stats.chi2(D - 1).cdf).pvalue > 1e-3


# Random walk


@pytest.mark.parametrize("steps", [1, 4, 16])
@pytest.mark.parametrize("radius", [0.1, 0.3, 0.5])
def test_mean_square_angle_of_a_walk(steps: int, radius: float) -> None:
    found = moved(many(D), lambda p: diffusion.random_walk(p, radius, steps, generator()))
    assert np.square(found).mean() == pytest.approx(radius**2, rel=0.05)


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("dim", [3, D])
def test_mean_cosine_of_a_walk(dim: int, steps: int) -> None:
    found = np.cos(moved(many(dim), lambda p: diffusion.random_walk(p, 1.0, steps, generator())))
    expected = math.cos(1 / math.sqrt(steps)) ** steps
    error = found.std() / math.sqrt(MANY)
    assert found.mean() == pytest.approx(expected, abs=4 * error + 1e-12)


# All laws


@pytest.mark.parametrize("name", LAWS)
def test_directions_have_no_preference(name: str) -> None:
    """Off the point, the mean and the correlations of the coordinates vanish."""
    point = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64).expand(MANY, 4)
    found = LAWS[name](point, 0.4, generator())[:, 1:]
    found = found / found.norm(dim=-1, keepdim=True)
    assert found.mean(0).abs().max() < 5 / math.sqrt(3 * MANY)
    expected = torch.eye(3, dtype=torch.float64) / 3
    torch.testing.assert_close(found.T @ found / MANY, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("name", [name for name in LAWS if name != "von-mises-fisher"])
def test_a_radius_of_nothing_moves_nothing(name: str) -> None:
    points = random_points(20, D)
    torch.testing.assert_close(LAWS[name](points, 0.0, generator()), points)


@pytest.mark.parametrize("name", LAWS)
def test_each_point_may_have_its_radius(name: str) -> None:
    points = random_points(3, 2000, 1, 64)
    radius = torch.tensor([0.05, 0.2, 0.8], dtype=torch.float64)[:, None, None]
    found = LAWS[name](points, radius, generator())
    assert found.shape == points.shape
    means = angle(points, found).mean(dim=(1, 2))
    for row, alone in enumerate(radius.flatten().tolist()):
        expected = angle(points[row], LAWS[name](points[row], alone, generator(1))).mean()
        assert means[row].item() == pytest.approx(expected.item(), rel=0.05)


@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_generator(name: str) -> None:
    points = random_points(8, D)
    first, again, other = (LAWS[name](points, 0.3, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_types_are_kept(name: str, dtype: torch.dtype) -> None:
    points = random_points(16, D).to(dtype)
    found = LAWS[name](points, 0.3, generator())
    assert found.dtype == dtype
    assert is_unit(found, 16 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3), (2, 0)])
def test_shapes(name: str, shape: tuple[int, ...]) -> None:
    assert LAWS[name](random_points(*shape, 6), 0.3, generator()).shape == (*shape, 6)


@pytest.mark.parametrize("name", LAWS)
def test_gradients_reach_the_points(name: str) -> None:
    """The draws being fixed, a point has its gradient."""
    points = random_points(3, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: LAWS[name](p, 0.3, generator()), points)


@pytest.mark.parametrize("name", LAWS)
def test_a_radius_that_is_no_number_does_not_loop(name: str) -> None:
    assert LAWS[name](random_points(3, 5), math.nan, generator()).isnan().all()
