"""The synthetic points of AECRD against the formulas and plain loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from aecrd_probes import CURVES, DIFFUSIONS, aecrd, batch, choose, draw, generator, side_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distillery.geometry import curves as geometry
from distillery.geometry import tangents
from distillery.geometry.sphere import angle, unit
from distillery.methods.aecrd.options import CurveOptions, DiffusionOptions
from distillery.methods.aecrd.pairs import Side
from distillery.methods.aecrd.synthesis import concentration, draw_curves, neighbours_of, perturb


def curves_of(side: Side, table: Tensor | None = None, n: int = 2, **options: Any) -> Any:
    table = side.candidates if table is None else table
    pairs = choose(side, "random")
    return pairs, draw_curves(side, table, pairs, n, CurveOptions(**options), generator())


# Curves


@pytest.mark.parametrize("curve", CURVES, ids=lambda c: "-".join(c.values()))
def test_points_are_on_the_sphere(curve: dict[str, str]) -> None:
    _, made = curves_of(side_of([0, 0, 1, 2, 1], 0), **curve)
    lengths = made.points.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=1e-12, rtol=0)


@pytest.mark.parametrize("curve", CURVES, ids=lambda c: "-".join(c.values()))
def test_gradcheck(curve: dict[str, str]) -> None:
    anchors, candidates = (torch.randn(4, 3, dtype=torch.float64) for _ in range(2))

    def points(vectors: Tensor) -> Tensor:
        side = Side(F.normalize(anchors, dim=1), F.normalize(vectors, dim=1), torch.arange(4) % 2)
        _, made = curves_of(side, **curve)
        return made.points.sum(dim=(0, 1))  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(points, candidates.requires_grad_())


@pytest.mark.parametrize("diffusion", DIFFUSIONS)
@pytest.mark.parametrize("curve", CURVES, ids=lambda c: "-".join(c.values()))
def test_gradcheck_of_the_loss_through_points(curve: dict[str, str], diffusion: str) -> None:
    options = {"curve": curve, "diffusion": {"kind": diffusion}, "pairs": {"policy": "random"}}
    method = aecrd(3, 3, dim=4, directions="student", temperature=0.5, **options)
    labels = torch.tensor([0, 0, 1, 2])

    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        both = (draw(4, 3, 0)._replace(embedding=each) for each in (student, teacher))
        (term,) = method(*both, batch(labels, step=1)).values()
        return term

    student, teacher = (draw(4, 3, seed).embedding for seed in (0, 1))
    if curve["tangents"] == "anchor":
        # Curves follow the anchor, but no gradient does.
        student = student.detach()
    assert torch.autograd.gradcheck(loss, (student, teacher))


def test_curves_are_those_of_the_formulas() -> None:
    side = side_of([0, 0, 1, 2], 3)
    pairs, _ = curves_of(side)
    p0, p1 = side.candidates[pairs.first], side.candidates[pairs.second]
    t = torch.tensor([1 / 3, 2 / 3], dtype=torch.float64)
    chord = unit(geometry.linear(p0, p1, 3 * t**2 - 2 * t**3))
    expected = {
        ("linear", "zero"): unit(geometry.linear(p0, p1, t)),
        ("slerp", "zero"): geometry.slerp(p0, p1, t),
        ("hermite", "zero"): chord,
        ("hermite", "geodesic"): unit(geometry.hermite(p0, p1, *tangents.geodesic(p0, p1, 1.0), t)),
        ("extrapolation", "zero"): unit(geometry.linear(p0, p1, 1 + t / 2)),
    }
    for (kind, family), points in expected.items():
        _, made = curves_of(side, interpolation=kind, tangents=family)
        torch.testing.assert_close(made.points, points)


def test_tangents_towards_the_anchor_are_its_own() -> None:
    side = side_of([0, 1, 2, 3], 0)
    _, straight = curves_of(side, tangents="zero")
    _, bent = curves_of(side, tangents="anchor")
    assert bent.points.shape == (4, *straight.points.shape)
    for anchor, points in zip(side.anchors, bent.points, strict=True):
        assert ((points - straight.points) @ anchor).mean() > 0


def test_tangents_of_the_centroid_lead_away_from_it() -> None:
    side = side_of([0, 0, 0, 0, 0], 0)
    centre = side.candidates.mean(dim=0)
    _, straight = curves_of(side, tangents="zero")
    _, bent = curves_of(side, tangents="centroid")
    assert ((bent.points - straight.points) @ centre).mean() < 0


def test_without_reprojection_points_are_inside_the_ball() -> None:
    _, made = curves_of(side_of([0, 1, 2], 0), interpolation="linear", reproject=False)
    lengths = made.points.norm(dim=-1)
    theta = angle(made.start, made.end)[..., None]
    t = torch.tensor([1 / 3, 2 / 3], dtype=torch.float64)
    torch.testing.assert_close(lengths, (1 - 2 * t * (1 - t) * (1 - theta.cos())).sqrt())


def test_antipodal_pairs_are_no_pairs() -> None:
    point = F.normalize(torch.randn(5).double(), dim=0)
    candidates = torch.stack((point, -point, F.normalize(torch.randn(5).double(), dim=0)))
    _, made = curves_of(Side(candidates, candidates, torch.arange(3)))
    assert made.valid.tolist() == [False, True, True]


@settings(max_examples=25)
@given(
    labels=st.lists(st.integers(0, 2), min_size=3, max_size=8),
    kind=st.sampled_from(["nearest", "same-class", "centroid"]),
    seed=st.integers(0, 99),
)
def test_neighbours_equal_a_loop(labels: list[int], kind: Any, seed: int) -> None:
    side = side_of(labels, seed)
    pairs = choose(side, "random")
    points = side.candidates
    found = neighbours_of(side, points, pairs.first, pairs.second, kind)
    for j, k, neighbour in zip(pairs.first.tolist(), pairs.second.tolist(), found, strict=True):
        if kind == "centroid":
            expected = points[side.identity == labels[j]].mean(dim=0)
        else:
            near = [
                i for i, y in enumerate(labels)
                if i not in (j, k) and (kind == "nearest" or y == labels[j])
            ]  # fmt: skip
            best = max(near, key=lambda i: (points[i] @ points[j]).item(), default=j)
            expected = points[best]
        torch.testing.assert_close(neighbour, expected)


# Diffusion


@pytest.mark.parametrize("kind", [kind for kind in DIFFUSIONS if kind != "none"])
def test_copies_are_as_far_away_as_the_radius_says(kind: Any) -> None:
    points = unit(torch.randn(50, 4, 128, generator=generator()).double())
    options = DiffusionOptions(kind=kind, radius=0.3, copies=20)
    copies = perturb(points, options, generator(1))
    assert copies.shape == (50, 80, 128)
    angles = angle(copies, points.repeat_interleave(20, dim=1))
    # In a cap the mean angle is half of its rim's.
    expected = math.acos(math.sin(0.3) / 0.3) if kind == "cap" else 0.3
    assert angles.cos().mean().acos().item() == pytest.approx(expected, rel=0.02)
    torch.testing.assert_close(copies.norm(dim=-1), torch.ones(50, 80).double())


def test_gaussian_angle_is_that_of_its_deviation() -> None:
    """At D = 128 a deviation of 0.05 moves points by about 29.3 degrees."""
    radius = math.atan(0.05 * math.sqrt(127))
    points = unit(torch.randn(4000, 1, 128, generator=generator()).double())
    options = DiffusionOptions(kind="gaussian", radius=radius)
    copies = perturb(points, options, generator(1))
    assert math.degrees(angle(points, copies).mean()) == pytest.approx(29.3, abs=0.3)


def test_concentration_inverts_the_mean_cosine() -> None:
    for radius in (0.05, 0.3, 1.0, 1.5):
        kappa, v = concentration(radius, 128), 127 / 2
        mean = kappa / (v + math.hypot(kappa, v))
        assert math.acos(mean) == pytest.approx(radius, rel=1e-6)
    assert math.isfinite(concentration(0.0, 128))
