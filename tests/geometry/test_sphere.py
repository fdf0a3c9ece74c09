from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from sphere_points import D, angles, generator, is_unit, pair_at, random_points, seeds
from torch import Tensor

from distillery.geometry import sphere

HALF_TYPES = [torch.float16, torch.bfloat16]


def gradient(function, *inputs: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    function(*leaves).sum().backward()
    return [leaf.grad for leaf in leaves]


def test_needs_nothing_but_torch() -> None:
    code = (
        "import sys\n"
        "from distillery.geometry import curves, diffusion, sphere, tangents\n"
        "print([name for name in sys.modules if name.startswith('distillery.')"
        " and not name.startswith('distillery.geometry')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_unit_keeps_the_direction(scale: float) -> None:
    x = random_points(20, 7) * scale
    torch.testing.assert_close(sphere.unit(x), x / scale)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF_TYPES])
def test_the_unit_of_nothing_is_nothing_and_has_no_gradient(dtype: torch.dtype) -> None:
    nothing = torch.zeros(3, 5, dtype=dtype)
    assert not sphere.unit(nothing).any()
    (found,) = gradient(sphere.unit, nothing)
    assert not found.any()


@given(theta=angles, seed=seeds)
@settings(deadline=None)
def test_angle_of_a_pair(theta: float, seed: int) -> None:
    p0, p1 = pair_at(theta, seed=seed)
    assert sphere.angle(p0, p1).item() == pytest.approx(theta, abs=1e-12)
    assert sphere.angle(3 * p0, 0.2 * p1).item() == pytest.approx(theta, abs=1e-12)


@pytest.mark.parametrize("tiny", [1e-3, 1e-6, 1e-9])
def test_angle_is_accurate_at_both_ends(tiny: float) -> None:
    p0, p1 = pair_at(tiny)
    assert sphere.angle(p0, p1).item() == pytest.approx(tiny, rel=1e-6)
    assert math.pi - sphere.angle(p0, -p1).item() == pytest.approx(tiny, rel=1e-6, abs=1e-15)


def test_arc_cosine_would_not_be_accurate() -> None:
    p0, p1 = pair_at(1e-9)
    assert torch.arccos((p0 @ p1).clamp(-1, 1)).item() != pytest.approx(1e-9, rel=0.1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("factor", [1.0, -1.0, 0.0])
def test_the_gradient_of_an_angle_is_finite_everywhere(dtype: torch.dtype, factor: float) -> None:
    a = random_points(50, 16, dtype=dtype)
    assert all(found.isfinite().all() for found in gradient(sphere.angle, a, factor * a))
    assert all(found.isfinite().all() for found in gradient(sphere.angle, 0 * a, 0 * a))


def test_the_gradient_of_an_angle_is_that_of_the_arc_cosine() -> None:
    a, b = random_points(5, 6, seed=1), random_points(5, 6, seed=2)
    cosine = torch.nn.functional.cosine_similarity
    expected = gradient(lambda x, y: torch.arccos(cosine(x, y)), a, b)
    torch.testing.assert_close(gradient(sphere.angle, a, b), expected)


def test_antipodal_begins_at_its_threshold() -> None:
    limit = math.acos(sphere.ANTIPODAL)
    cases = {limit - 1e-3: False, limit + 1e-3: True, math.pi: True, 0.0: False}
    for theta, expected in cases.items():
        assert sphere.is_antipodal(*pair_at(theta)).item() is expected


@given(seed=seeds)
@settings(deadline=None)
def test_tangents_are_orthogonal_and_idempotent(seed: int) -> None:
    base, vector = random_points(4, D, seed=seed), random_points(4, D, seed=seed + 1)
    found = sphere.tangent(base, vector)
    assert (found * base).sum(-1).abs().max() < 1e-14
    torch.testing.assert_close(sphere.tangent(base, found), found)


@given(theta=angles, seed=seeds)
@settings(deadline=None)
def test_the_exponential_map_reaches_the_other_point(theta: float, seed: int) -> None:
    p0, p1 = pair_at(theta, dim=5, seed=seed)
    direction = sphere.unit(sphere.tangent(p0, p1))
    torch.testing.assert_close(sphere.exponential(p0, theta * direction), p1)


def test_the_exponential_map_of_nothing_stays() -> None:
    base = random_points(4, 9)
    torch.testing.assert_close(sphere.exponential(base, torch.zeros_like(base)), base)
    point, step = gradient(sphere.exponential, base, torch.zeros_like(base))
    torch.testing.assert_close(point, torch.ones_like(base))
    torch.testing.assert_close(step, torch.ones_like(base))


def test_random_tangents_have_no_preferred_direction() -> None:
    base = random_points(1, 4).expand(20_000, 4)
    found = sphere.random_tangent(base, generator())
    assert is_unit(found)
    assert (found * base).sum(-1).abs().max() < 1e-14
    # Uniform on the tangent sphere: mean 0 and the covariance of the projection, a third of it.
    assert found.mean(0).abs().max() < 5 / math.sqrt(3 * 20_000)
    expected = (torch.eye(4) - torch.outer(base[0], base[0])) / 3
    torch.testing.assert_close(found.T @ found / 20_000, expected.double(), atol=0.015, rtol=0)


def test_draws_follow_the_generator() -> None:
    base = random_points(3, 8)
    first, again, other = (sphere.random_tangent(base, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_leading_dimensions_broadcast_and_may_be_empty() -> None:
    a, b = random_points(2, 1, 6), random_points(3, 6, seed=1)
    assert sphere.angle(a, b).shape == (2, 3)
    assert sphere.is_antipodal(a, b).shape == (2, 3)
    assert sphere.tangent(a, b).shape == (2, 3, 6)
    assert sphere.angle(a[:0], b).shape == (0, 3)
    assert sphere.random_tangent(a[:0], generator()).shape == (0, 1, 6)


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_half_types_are_kept_and_finite(dtype: torch.dtype) -> None:
    a, b = random_points(9, D).to(dtype), random_points(9, D, seed=1).to(dtype)
    for found in (
        sphere.angle(a, b),
        sphere.exponential(a, b),
        sphere.random_tangent(a, generator()),
    ):
        assert found.dtype == dtype
        assert found.isfinite().all()
