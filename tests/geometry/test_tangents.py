from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sphere_points import D, angles, generator, pair_at, random_points, seeds
from torch import Tensor

from distillery.geometry import tangents
from distillery.geometry.curves import hermite, linear, positions, slerp
from distillery.geometry.sphere import angle, unit

DENSE = torch.linspace(0, 1, 2001, dtype=torch.float64)
MIDDLE = torch.tensor([0.5], dtype=torch.float64)

FAMILIES: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "geodesic": lambda p0, p1, a, b: tangents.geodesic(p0, p1, 1.5),
    "cardinal": lambda p0, p1, a, b: tangents.cardinal(a, p0, p1, b, 0.3),
    "kochanek-bartels": lambda p0, p1, a, b: tangents.kochanek_bartels(a, p0, p1, b, 0.3, 0.5),
    "random-plane": lambda p0, p1, a, b: tangents.random_plane(p0, p1, 1.5, generator()),
    "towards": lambda p0, p1, a, b: tangents.towards(p0, p1, a, 1.5),
    "outward": lambda p0, p1, a, b: tangents.outward(p0, p1, 0.6 * a, 1.5),
}
DIRECTIONS = ["geodesic", "random-plane", "towards", "outward"]


# Along the great circle


@pytest.mark.parametrize(
    ("degrees", "expected"), [(10, 0.0), (30, 0.001), (60, 0.021), (80, 0.087), (90, 0.156)]
)
def test_geodesic_hermite_follows_slerp(degrees: float, expected: float) -> None:
    p0, p1 = pair_at(math.radians(degrees))
    curve = hermite(p0, p1, *tangents.geodesic(p0, p1, 1.0), DENSE)
    found = math.degrees(angle(curve, slerp(p0, p1, DENSE)).max().item())
    assert found == pytest.approx(expected, abs=5e-4)


@given(theta=angles, scale=st.floats(0.25, 3), seed=seeds)
@settings(deadline=None)
def test_geodesic_tangents_are_the_velocities_of_slerp(
    theta: float, scale: float, seed: int
) -> None:
    p0, p1 = pair_at(theta, seed=seed)
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda t: slerp(p0, p1, t), ends)
    velocity = torch.stack((jacobian[0, :, 0], jacobian[1, :, 1]))
    found = torch.stack(tangents.geodesic(p0, p1, scale))
    torch.testing.assert_close(found, scale * velocity, atol=1e-9, rtol=1e-9)


@given(theta=angles, scale=st.floats(0.25, 3), seed=seeds)
@settings(deadline=None)
def test_length_of_the_geodesic_mid_point(theta: float, scale: float, seed: int) -> None:
    p0, p1 = pair_at(theta, seed=seed)
    found = hermite(p0, p1, *tangents.geodesic(p0, p1, scale), MIDDLE).norm().item()
    expected = math.cos(theta / 2) + scale * theta / 4 * math.sin(theta / 2)
    assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("theta", [0.05, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize(("factor", "expected"), [(0.99, True), (1.01, False)])
def test_geodesic_curves_are_monotone_up_to_a_scale(
    theta: float, factor: float, expected: bool
) -> None:
    p0, p1 = pair_at(theta)
    scale = factor * 6 * math.tan(theta / 2) / theta
    curve = hermite(p0, p1, *tangents.geodesic(p0, p1, scale), DENSE)
    along = curve @ unit(p1 - p0)
    assert bool((along.diff() > 0).all()) is expected


def test_geodesic_tangents_of_coincident_and_antipodal_points_are_null() -> None:
    p0 = random_points(3, D)
    for p1 in (p0, -p0):
        for tangent in tangents.geodesic(p0, p1, 1.0):
            assert tangent.abs().max() < 1e-15


def test_geodesic_tangents_of_close_points_are_the_chord() -> None:
    p0, p1 = pair_at(1e-6)
    for tangent in tangents.geodesic(p0, p1, 1.0):
        torch.testing.assert_close(tangent, p1 - p0, atol=1e-12, rtol=0)


# Splines through neighbours


@given(seed=seeds, tension=st.floats(-1, 1))
@settings(deadline=None)
def test_kochanek_bartels_without_bias_is_cardinal(seed: int, tension: float) -> None:
    points = random_points(4, D, seed=seed)
    found = tangents.kochanek_bartels(*points, tension, 0.0)
    torch.testing.assert_close(found, tangents.cardinal(*points, tension))


def test_cardinal_without_tension_is_catmull_rom() -> None:
    before, p0, p1, after = points = random_points(4, D)
    found = tangents.cardinal(*points, 0.0)
    torch.testing.assert_close(found, ((p1 - before) / 2, (after - p0) / 2))


@given(seed=seeds, tension=st.floats(-1, 1), bias=st.floats(-1, 1))
@settings(deadline=None)
def test_kochanek_bartels_has_no_corners(seed: int, tension: float, bias: float) -> None:
    """The curve before a point must come in as the one after it goes out."""
    a, b, c, d, e = random_points(5, 6, seed=seed)
    _, incoming = tangents.kochanek_bartels(a, b, c, d, tension, bias)
    outgoing, _ = tangents.kochanek_bartels(b, c, d, e, tension, bias)
    torch.testing.assert_close(outgoing, incoming)


@pytest.mark.parametrize(("bias", "chord"), [(1.0, 0), (-1.0, 1)])
def test_the_bias_chooses_a_chord(bias: float, chord: int) -> None:
    before, p0, p1, after = random_points(4, D)
    m0, m1 = tangents.kochanek_bartels(before, p0, p1, after, 0.0, bias)
    torch.testing.assert_close(m0, (p0 - before, p1 - p0)[chord])
    torch.testing.assert_close(m1, (p1 - p0, after - p1)[chord])


def test_catmull_rom_interpolates_smoothly() -> None:
    """Three pieces of a spline meet in their points, with the same velocity."""
    points = random_points(6, D)
    step = torch.tensor([0.0, 1e-6, 1 - 1e-6, 1.0], dtype=torch.float64)
    pieces = [
        hermite(points[k], points[k + 1], *tangents.cardinal(*points[k - 1 : k + 3], 0.0), step)
        for k in (1, 2, 3)
    ]
    for k, piece in enumerate(pieces, start=1):
        torch.testing.assert_close(piece[[0, -1]], points[[k, k + 1]])
    for left, right in itertools.pairwise(pieces):
        torch.testing.assert_close(left[3] - left[2], right[1] - right[0], atol=1e-11, rtol=0)


def test_full_tension_stops_at_the_points() -> None:
    assert not any(tangent.any() for tangent in tangents.cardinal(*random_points(4, D), 1.0))


def test_catmull_rom_reproduces_a_line() -> None:
    start, step = random_points(2, D)
    points = [start + k * step for k in range(4)]
    curve = hermite(points[1], points[2], *tangents.cardinal(*points, 0.0), DENSE)
    torch.testing.assert_close(curve, linear(points[1], points[2], DENSE))


# Directions of other points, and random ones


@pytest.mark.parametrize("name", DIRECTIONS)
def test_lengths_are_the_scale_times_the_angle(name: str) -> None:
    p0, p1, a, b = random_points(4, 9, D)
    expected = 1.5 * angle(p0, p1)
    for base, tangent in zip((p0, p1), FAMILIES[name](p0, p1, a, b), strict=True):
        torch.testing.assert_close(tangent.norm(dim=-1), expected)
        assert (tangent * base).sum(-1).abs().max() < 1e-14


@given(theta=st.floats(0.1, 1.5), scale=st.floats(0.25, 2), seed=seeds)
@settings(deadline=None)
def test_curves_bend_towards_the_anchor_and_away_from_the_centre(
    theta: float, scale: float, seed: int
) -> None:
    """The middle has moved by ``(m0 - m1) / 8`` from that of the chord."""
    p0, p1 = pair_at(theta, seed=seed)
    other = random_points(3, D, seed=seed + 1)[2]
    chord = linear(p0, p1, MIDDLE)[0]
    near = hermite(p0, p1, *tangents.towards(p0, p1, other, scale), MIDDLE)[0]
    far = hermite(p0, p1, *tangents.outward(p0, p1, other, scale), MIDDLE)[0]
    assert far @ other < chord @ other < near @ other


def test_only_the_direction_of_a_centre_matters() -> None:
    p0, p1, centre = random_points(3, 7, D)
    first, second = (tangents.outward(p0, p1, f * centre, 1.0) for f in (0.01, 1.0))
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(second, tuple(-m for m in tangents.towards(p0, p1, centre, 1.0)))


def test_an_end_that_is_the_anchor_gets_no_velocity() -> None:
    p0, p1 = random_points(2, 7, D)
    m0, m1 = tangents.towards(p0, p1, p0, 1.0)
    assert not m0.any()
    # From p0 to p1 on the great circle.
    torch.testing.assert_close(m1, tangents.geodesic(p0, p1, 1.0)[1])


def test_random_tangents_are_independent_and_follow_the_generator() -> None:
    p0, p1 = pair_at(0.3)
    pairs = p0.expand(2000, D), p1.expand(2000, D)
    m0, m1 = tangents.random_plane(*pairs, 1.0, generator(3))
    cosines = (m0 * m1).sum(-1) / 0.3**2
    assert abs(cosines.mean().item()) < 5 / math.sqrt(2000 * D)
    assert cosines.std().item() == pytest.approx(1 / math.sqrt(D), rel=0.1)
    assert torch.equal(tangents.random_plane(*pairs, 1.0, generator(3))[1], m1)
    assert not torch.equal(tangents.random_plane(*pairs, 1.0, generator(4))[1], m1)


# All families


@pytest.mark.parametrize("name", FAMILIES)
def test_gradcheck(name: str) -> None:
    inputs = [points.clone().requires_grad_() for points in random_points(4, 3, 5)]
    assert torch.autograd.gradcheck(FAMILIES[name], inputs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("factor", [1.0, -1.0, -0.999])
@pytest.mark.parametrize("name", FAMILIES)
def test_degenerate_pairs_are_finite(name: str, factor: float, dtype: torch.dtype) -> None:
    p0 = random_points(20, D).to(dtype).requires_grad_()
    p1 = (factor * random_points(20, D)).to(dtype).requires_grad_()
    # The anchor is an end as well.
    m0, m1 = FAMILIES[name](p0, p1, p0.detach(), p1.detach())
    curve = unit(hermite(p0, p1, m0, m1, positions(3, p0)))
    curve.float().square().sum().backward()
    assert m0.dtype == curve.dtype == dtype
    for tensor in (m0, m1, curve, p0.grad, p1.grad):
        assert tensor.isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3)])
def test_shapes(name: str, shape: tuple[int, ...]) -> None:
    points = [random_points(*shape, 6, seed=seed) for seed in range(4)]
    for tangent in FAMILIES[name](*points):
        assert tangent.shape == (*shape, 6)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "random-plane"])
def test_a_batch_equals_a_plain_loop(name: str) -> None:
    batch = random_points(4, 6, 5)
    found = FAMILIES[name](*batch)
    for row in range(6):
        expected = by_hand(name, *(points[row].numpy() for points in batch))
        for tangent, value in zip(found, expected, strict=True):
            np.testing.assert_allclose(tangent[row].numpy(), value, atol=1e-12)


def by_hand(
    name: str, p0: np.ndarray, p1: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    theta = math.acos(float(p0 @ p1))
    if name == "geodesic":
        factor = 1.5 * theta / math.sin(theta)
        return factor * (p1 - math.cos(theta) * p0), factor * (math.cos(theta) * p1 - p0)
    if name == "cardinal":
        return 0.7 * (p1 - a) / 2, 0.7 * (b - p0) / 2
    if name == "kochanek-bartels":
        m0 = 0.7 * 1.5 / 2 * (p0 - a) + 0.7 * 0.5 / 2 * (p1 - p0)
        m1 = 0.7 * 1.5 / 2 * (p1 - p0) + 0.7 * 0.5 / 2 * (b - p1)
        return m0, m1
    sign = 1 if name == "towards" else -1
    centre = a if name == "towards" else 0.6 * a
    found = []
    for base in (p0, p1):
        vector = sign * (centre - base)
        vector = vector - (vector @ base) * base
        found.append(1.5 * theta * vector / np.linalg.norm(vector))
    return found[0], -found[1]
