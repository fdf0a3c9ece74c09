from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sphere_points import D, angles, generator, is_unit, pair_at, random_points, seeds
from torch import Tensor

from distillery.geometry import curves, tangents
from distillery.geometry.sphere import angle, unit

DENSE = torch.linspace(0, 1, 2001, dtype=torch.float64)
THIRD = torch.tensor([1 / 3], dtype=torch.float64)
MIDDLE = torch.tensor([0.5], dtype=torch.float64)
positions = st.floats(0, 1).map(lambda t: torch.tensor([t], dtype=torch.float64))


def vectors(count: int, seed: int, dim: int = D) -> Tensor:
    return torch.randn(count, dim, generator=generator(seed), dtype=torch.float64)


def weights_of_hermite(t: Tensor) -> Tensor:
    """Read (h00, h10, h01, h11), (4, n), off the curve through unit vectors of the axes."""
    p0, m0, p1, m1 = torch.eye(4, dtype=torch.float64)
    return curves.hermite(p0, p1, m0, m1, t).T


# Positions


def test_positions_are_spaced_equally_without_the_ends() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    expected = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    torch.testing.assert_close(curves.positions(3, like), expected)
    assert curves.positions(0, like).shape == (0,)
    assert curves.positions(2, like.float()).dtype == torch.float32


def test_random_positions_are_uniform_and_follow_the_generator() -> None:
    like = torch.zeros(900, 3)
    first, again, other = (curves.random_positions(2, like, generator(s)) for s in (0, 0, 1))
    assert first.shape == (900, 2)
    assert stats.kstest(first.flatten().numpy(), stats.uniform.cdf).pvalue > 1e-3
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# Straight lines and great circles


@given(theta=angles, t=positions, seed=seeds)
@settings(deadline=None)
def test_length_of_a_chord_point(theta: float, t: Tensor, seed: int) -> None:
    chord = curves.linear(*pair_at(theta, seed=seed), t)
    share = t.item()
    expected = math.sqrt(1 - 2 * share * (1 - share) * (1 - math.cos(theta)))
    assert chord.norm().item() == pytest.approx(expected, abs=1e-12)
    middle = curves.linear(*pair_at(theta, seed=seed), MIDDLE)
    assert middle.norm().item() == pytest.approx(math.cos(theta / 2), abs=1e-12)


@given(theta=angles, t=positions, seed=seeds)
@settings(deadline=None)
def test_slerp_divides_the_angle(theta: float, t: Tensor, seed: int) -> None:
    p0, p1 = pair_at(theta, seed=seed)
    found = curves.slerp(p0, p1, t)
    assert is_unit(found)
    assert angle(found[0], p0).item() == pytest.approx(t.item() * theta, abs=1e-10)
    assert angle(found[0], p1).item() == pytest.approx((1 - t.item()) * theta, abs=1e-10)


@pytest.mark.parametrize(("degrees", "expected"), [(20, 0.03), (40, 0.25), (60, 0.9), (90, 3.4)])
def test_angle_between_projected_line_and_slerp(degrees: float, expected: float) -> None:
    p0, p1 = pair_at(math.radians(degrees))
    line, circle = curves.linear(p0, p1, THIRD), curves.slerp(p0, p1, THIRD)
    found = math.degrees(angle(line, circle).item())
    assert found == pytest.approx(expected, abs=0.5 * 10 ** -len(str(expected).split(".")[1]))


@pytest.mark.parametrize("theta", [0.0, 1e-12, 1e-7, 1e-4, 0.03])
def test_slerp_becomes_linear_for_nearly_parallel_points(theta: float) -> None:
    p0, p1 = pair_at(theta)
    line, circle = curves.linear(p0, p1, DENSE), curves.slerp(p0, p1, DENSE)
    assert is_unit(circle)
    # The sagitta of the arc.
    assert (line - circle).norm(dim=-1).max().item() == pytest.approx(theta**2 / 8, abs=2e-8)
    assert angle(line, circle).max() < 4e-6


def test_slerp_of_antipodal_points_gives_the_nearer_end() -> None:
    p0 = random_points(D)
    t = torch.tensor([0.2, 0.9, 1.6], dtype=torch.float64)
    torch.testing.assert_close(curves.slerp(p0, -p0, t), torch.stack((p0, -p0, -p0)))


@given(theta=angles, seed=seeds)
@settings(deadline=None)
def test_extrapolation_goes_on_beyond_the_end(theta: float, seed: int) -> None:
    p0, p1 = pair_at(theta, seed=seed)
    found = curves.extrapolate(p0, p1, DENSE)
    torch.testing.assert_close(found[0], p1)
    torch.testing.assert_close(found[-1], p1 + 0.5 * (p1 - p0))
    torch.testing.assert_close(found, curves.linear(p0, p1, 1 + 0.5 * DENSE))


def test_bezier_is_tangent_to_its_control_polygon() -> None:
    p0, control, p1 = vectors(3, 0)
    found = curves.bezier(p0, control, p1, DENSE)
    torch.testing.assert_close(found[[0, -1]], torch.stack((p0, p1)))
    torch.testing.assert_close(found[1000], (p0 + 2 * control + p1) / 4)
    straight = curves.bezier(p0, (p0 + p1) / 2, p1, DENSE)
    torch.testing.assert_close(straight, curves.linear(p0, p1, DENSE))


# The cubic Hermite curve


def test_hermite_weights_are_the_published_polynomials() -> None:
    t = DENSE
    expected = torch.stack(
        (
            2 * t**3 - 3 * t**2 + 1,
            t**3 - 2 * t**2 + t,
            -2 * t**3 + 3 * t**2,
            t**3 - t**2,
        )
    )
    torch.testing.assert_close(weights_of_hermite(t), expected)


def test_hermite_weights_of_the_points_add_to_one() -> None:
    h00, _, h01, _ = weights_of_hermite(DENSE)
    torch.testing.assert_close(h00 + h01, torch.ones_like(DENSE))


def test_hermite_weights_solve_the_end_conditions() -> None:
    """Solve for the cubic's coefficients, and compare."""
    # Rows: value at 0, slope at 0, value at 1, slope at 1, of a + bt + ct^2 + et^3.
    conditions = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 1, 2, 3]]).double()
    powers = torch.stack([DENSE**power for power in range(4)])
    expected = torch.linalg.solve(conditions, torch.eye(4, dtype=torch.float64)).T @ powers
    torch.testing.assert_close(weights_of_hermite(DENSE), expected)


@given(seed=seeds)
@settings(deadline=None)
def test_hermite_has_the_given_ends_and_velocities(seed: int) -> None:
    p0, p1, m0, m1 = vectors(4, seed)
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    point, velocity = torch.autograd.functional.jvp(
        lambda t: curves.hermite(p0, p1, m0, m1, t), t, torch.ones_like(t)
    )
    torch.testing.assert_close(point, torch.stack((p0, p1)))
    torch.testing.assert_close(velocity, torch.stack((m0, m1)))


@given(seed=seeds)
@settings(deadline=None)
def test_hermite_with_the_chord_as_velocity_is_the_line(seed: int) -> None:
    p0, p1 = vectors(2, seed)
    d = p1 - p0
    torch.testing.assert_close(curves.hermite(p0, p1, d, d, DENSE), curves.linear(p0, p1, DENSE))


@given(seed=seeds)
@settings(deadline=None)
def test_hermite_without_velocity_is_a_smoothstep_of_the_line(seed: int) -> None:
    p0, p1 = vectors(2, seed)
    still = torch.zeros_like(p0)
    smoothstep = 3 * DENSE**2 - 2 * DENSE**3
    torch.testing.assert_close(
        curves.hermite(p0, p1, still, still, DENSE), curves.linear(p0, p1, smoothstep)
    )


@given(seed=seeds)
@settings(deadline=None)
def test_deviation_of_hermite_from_the_line(seed: int) -> None:
    p0, p1, m0, m1 = vectors(4, seed)
    d, t = p1 - p0, DENSE[:, None]
    found = curves.hermite(p0, p1, m0, m1, DENSE) - curves.linear(p0, p1, DENSE)
    torch.testing.assert_close(found, t * (1 - t) * ((1 - t) * (m0 - d) - t * (m1 - d)))
    bound = torch.maximum((m0 - d).norm(), (m1 - d).norm()) / 4
    assert (found.norm(dim=-1) <= bound + 1e-12).all()


def test_the_bound_of_the_deviation_is_reached() -> None:
    p0, p1, m0 = vectors(3, 0)
    m1 = 2 * (p1 - p0) - m0
    found = curves.hermite(p0, p1, m0, m1, MIDDLE) - curves.linear(p0, p1, MIDDLE)
    assert found.norm().item() == pytest.approx((m0 - (p1 - p0)).norm().item() / 4)


# Which plane the points are in


IN_PLANE: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "linear": curves.linear,
    "slerp": curves.slerp,
    "extrapolate": curves.extrapolate,
    "geodesic": lambda p0, p1, t: curves.hermite(p0, p1, *tangents.geodesic(p0, p1, 2.0), t),
    "still": lambda p0, p1, t: curves.hermite(p0, p1, 0 * p0, 0 * p1, t),
    "one-sided": lambda p0, p1, t: curves.hermite(
        p0, p1, *tangents.cardinal(p0, p0, p1, p1, 0.0), t
    ),
}


@pytest.mark.parametrize("name", IN_PLANE)
def test_strategies_of_the_plane_share_one_great_circle(name: str) -> None:
    for theta in (0.1, 0.5, 1.5, 2.5):
        p0, p1 = pair_at(theta)
        found = unit(IN_PLANE[name](p0, p1, curves.positions(7, p0)))
        assert is_unit(found)
        assert curves.out_of_plane_angle(found, p0, p1).max() < 1e-6


@pytest.mark.parametrize("family", ["random", "towards", "outward", "cardinal"])
def test_strategies_with_other_points_leave_the_plane(family: str) -> None:
    p0, p1 = pair_at(0.8)
    before, after = random_points(2, D, seed=7)
    found = {
        "random": lambda: tangents.random_plane(p0, p1, 1.0, generator()),
        "towards": lambda: tangents.towards(p0, p1, before, 1.0),
        "outward": lambda: tangents.outward(p0, p1, after, 1.0),
        "cardinal": lambda: tangents.cardinal(before, p0, p1, after, 0.0),
    }[family]()
    points = unit(curves.hermite(p0, p1, *found, curves.positions(3, p0)))
    assert curves.out_of_plane_angle(points, p0, p1).min() > 0.01


@given(theta=angles, height=st.floats(0, math.pi / 2), seed=seeds)
@settings(deadline=None)
def test_out_of_plane_angle_is_the_height_over_the_plane(
    theta: float, height: float, seed: int
) -> None:
    p0, p1 = pair_at(theta, dim=6, seed=seed)
    basis = torch.linalg.qr(torch.stack((p0, p1, *random_points(4, 6, seed=seed))).T).Q.T
    inside = unit(curves.linear(p0, p1, torch.tensor([0.3, 0.7], dtype=torch.float64)))
    points = math.cos(height) * inside + math.sin(height) * basis[3]
    found = curves.out_of_plane_angle(2.5 * points, p0, p1)
    torch.testing.assert_close(found, torch.full_like(found, height), atol=1e-10, rtol=0)


def test_out_of_plane_angle_of_coincident_points_is_that_to_their_line() -> None:
    p0 = random_points(5, D)
    other = random_points(5, D, seed=1)
    found = curves.out_of_plane_angle(other[:, None], p0, p0)[:, 0]
    between = angle(other, p0)
    torch.testing.assert_close(found, torch.minimum(between, math.pi - between))


# Gradients, shapes, types


CURVES: dict[str, Callable[..., Tensor]] = {
    "linear": curves.linear,
    "slerp": curves.slerp,
    "extrapolate": curves.extrapolate,
    "hermite": lambda p0, p1, t: curves.hermite(p0, p1, *tangents.geodesic(p0, p1, 1.5), t),
    "bezier": lambda p0, p1, t: curves.bezier(p0, p0.roll(1, -1), p1, t),
}


def hard_pairs(name: str) -> tuple[Tensor, Tensor]:
    """Return pairs of rows whose angles are hard for naive formulas."""
    theta = {"coincident": 0.0, "close": 1e-5, "usual": 1.0, "wide": 3.09}[name]
    pairs = [pair_at(theta, dim=5, seed=seed) for seed in range(3)]
    return torch.stack([p0 for p0, _ in pairs]), torch.stack([p1 for _, p1 in pairs])


@pytest.mark.parametrize("pair", ["coincident", "close", "usual", "wide"])
@pytest.mark.parametrize("name", CURVES)
def test_gradcheck(name: str, pair: str) -> None:
    p0, p1 = (points.requires_grad_() for points in hard_pairs(pair))
    t = curves.positions(2, p0)
    assert torch.autograd.gradcheck(lambda a, b: CURVES[name](a, b, t), (p0, p1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("factor", [1.0, -1.0, -0.999])
@pytest.mark.parametrize("name", CURVES)
def test_degenerate_pairs_are_finite(name: str, factor: float, dtype: torch.dtype) -> None:
    p0 = random_points(20, D, dtype=torch.float32).to(dtype).requires_grad_()
    p1 = (factor * random_points(20, D, dtype=torch.float32)).to(dtype).requires_grad_()
    points = unit(CURVES[name](p0, p1, curves.positions(3, p0)))
    points.float().square().sum().backward()
    assert points.dtype == dtype
    for tensor in (points, p0.grad, p1.grad):
        assert tensor.isfinite().all()


def test_hermite_gradcheck_in_all_its_points() -> None:
    inputs = [vector.clone().requires_grad_() for vector in vectors(4, 0, dim=5)]
    t = curves.positions(3, inputs[0]).requires_grad_()
    assert torch.autograd.gradcheck(curves.hermite, (*inputs, t))


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3)])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_shapes(name: str, shape: tuple[int, ...], n: int) -> None:
    p0, p1 = random_points(*shape, 6), random_points(*shape, 6, seed=1)
    shared = CURVES[name](p0, p1, curves.positions(n, p0))
    assert shared.shape == (*shape, n, 6)
    own = CURVES[name](p0, p1, curves.positions(n, p0).expand(*shape, n))
    assert torch.equal(shared, own)
    assert curves.out_of_plane_angle(shared, p0, p1).shape == (*shape, n)


@pytest.mark.parametrize("name", ["linear", "slerp", "hermite", "bezier"])
def test_a_batch_equals_a_plain_loop(name: str) -> None:
    p0, p1, m0, m1 = (random_points(3, 5, seed=seed) for seed in range(4))
    t = torch.rand(3, 4, generator=generator(), dtype=torch.float64)
    function, more = {
        "linear": (curves.linear, ()),
        "slerp": (curves.slerp, ()),
        "hermite": (curves.hermite, (m0, m1)),
        "bezier": (curves.bezier, (m0,)),
    }[name]
    found = function(p0, m0, p1, t) if name == "bezier" else function(p0, p1, *more, t)
    for row in range(3):
        a, b, u, v = (x[row].numpy() for x in (p0, p1, m0, m1))
        for k in range(4):
            expected = by_hand(name, a, b, u, v, t[row, k].item())
            np.testing.assert_allclose(found[row, k].numpy(), expected, atol=1e-12)


def by_hand(
    name: str, a: np.ndarray, b: np.ndarray, u: np.ndarray, v: np.ndarray, t: float
) -> np.ndarray:
    if name == "linear":
        return (1 - t) * a + t * b
    if name == "slerp":
        theta = math.acos(float(a @ b))
        return (math.sin((1 - t) * theta) * a + math.sin(t * theta) * b) / math.sin(theta)
    if name == "bezier":
        return (1 - t) ** 2 * a + 2 * t * (1 - t) * u + t**2 * b
    c, e = 3 * (b - a) - 2 * u - v, -2 * (b - a) + u + v
    return a + u * t + c * t**2 + e * t**3
