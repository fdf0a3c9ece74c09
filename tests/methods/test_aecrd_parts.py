"""The parts of AECRD against plain loops and closed forms."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from aecrd_probes import CURVES, DIFFUSIONS, aecrd, batch, choose, draw, side_of, value
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distillery.geometry import curves as geometry
from distillery.geometry import tangents
from distillery.geometry.sphere import angle, unit
from distillery.methods.parts import synthetic_log as log
from distillery.methods.parts.candidate_filters import (
    class_probability,
    differs_from,
    inherits,
    similarities,
    stays_clear,
)
from distillery.methods.parts.class_means import RunningCentroids, class_means, class_spread
from distillery.methods.parts.contrast_measures import alignment, hardness_histogram, uniformity
from distillery.methods.parts.hard_selection import SelectionOptions, select
from distillery.methods.parts.linear_readout import LinearReadout
from distillery.methods.parts.pair_policies import Side
from distillery.methods.parts.perturbation import DiffusionOptions, concentration, perturb
from distillery.methods.parts.reweighting import (
    corrected_info_nce,
    log_hardness_weights,
    weighted_info_nce,
)
from distillery.methods.parts.spline_neighbours import neighbours_of
from distillery.methods.parts.synthesis import CurveOptions, draw_curves

quick = settings(max_examples=25)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def curves_of(side: Side, table: Tensor | None = None, n: int = 2, **options: Any) -> Any:
    table = side.candidates if table is None else table
    pairs = choose(side, "random", max_pairs=500)
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


@pytest.mark.parametrize("curve", CURVES, ids=lambda c: "-".join(c.values()))
def test_gradcheck_of_the_loss(curve: dict[str, str]) -> None:
    synthetic, pairs = {"detach": False}, {"policy": "random"}
    options = {"synthetic": synthetic, "pairs": pairs, "curve": curve, "temperature": 0.5}
    method = aecrd(3, 3, dim=4, directions="student", **options)
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


@quick
@given(
    labels=st.lists(st.integers(0, 2), min_size=3, max_size=8),
    kind=st.sampled_from(["nearest", "same-class", "centroid"]),
    seed=st.integers(0, 99),
)
def test_neighbours_equal_a_loop(labels: list[int], kind: Any, seed: int) -> None:
    side = side_of(labels, seed)
    pairs = choose(side, "random", max_pairs=500)
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
    options = DiffusionOptions(kind=kind, radius=0.3, copies=20, density="surface")
    copies = perturb(points, 0.3, options, generator(1))
    assert copies.shape == (50, 80, 128)
    angles = angle(copies, points.repeat_interleave(20, dim=1))
    assert angles.cos().mean().acos().item() == pytest.approx(0.3, rel=0.02)
    torch.testing.assert_close(copies.norm(dim=-1), torch.ones(50, 80).double())


def test_gaussian_angle_is_that_of_its_deviation() -> None:
    """At D = 128 a deviation of 0.05 moves points by about 29.3 degrees."""
    radius = math.atan(0.05 * math.sqrt(127))
    points = unit(torch.randn(4000, 1, 128, generator=generator()).double())
    copies = perturb(points, radius, DiffusionOptions(kind="gaussian"), generator(1))
    assert math.degrees(angle(points, copies).mean()) == pytest.approx(29.3, abs=0.3)


def test_concentration_inverts_the_mean_cosine() -> None:
    like, v = torch.zeros(128).double(), 127 / 2
    for radius in (0.05, 0.3, 1.0, 1.5):
        kappa = concentration(radius, like).item()
        mean = kappa / (v + math.hypot(kappa, v))
        assert math.acos(mean) == pytest.approx(radius, rel=1e-6)
    assert concentration(0.0, like).isfinite()


def test_the_radius_follows_its_schedule() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    angles = {}
    for schedule, epoch in itertools.product(("constant", "linear", "class-spread"), (0, 3)):
        method = aecrd(
            directions="student",
            pairs={"policy": "single"},
            synthetic={"n": 40},
            curve={"interpolation": "linear"},
            diffusion={"kind": "gaussian", "radius": 0.1, "schedule": schedule},
        )
        side = side_of(labels.tolist(), 0, dim=8)
        made = method._synthesise("student_anchor", side, batch(labels, epoch=epoch))
        parents = side.candidates[made.parents[:, 0]]
        angles[schedule, epoch] = angle(parents, made.points).view(6, 40).mean(dim=1)
    assert angles["linear", 0].mean() < 0.4 * angles["linear", 3].mean()
    torch.testing.assert_close(angles["linear", 3], angles["constant", 3])
    torch.testing.assert_close(angles["class-spread", 0], angles["class-spread", 3])
    spread = class_spread(side.candidates, side.same_class)
    ratio = angles["class-spread", 0] / angles["constant", 0] / spread
    assert ratio.min() > 0.8
    assert ratio.max() < 1.2


# Classes


@quick
@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=7), seed=st.integers(0, 99))
def test_means_and_spreads_equal_a_loop(labels: list[int], seed: int) -> None:
    side = side_of(labels, seed)
    points, rows = side.candidates, range(len(labels))
    means = class_means(points, side.same_class)
    spreads = class_spread(points, side.same_class)
    own = {}
    for i in rows:
        mates = [j for j in rows if labels[j] == labels[i]]
        torch.testing.assert_close(means[i], points[mates].mean(dim=0))
        others = [angle(points[i], points[j]).item() for j in mates if j != i]
        own[i] = sum(others) / len(others) if others else None
    known = [each for each in own.values() if each is not None]
    fallback = sum(known) / len(known) if known else 0.0
    expected = [fallback if each is None else each for each in own.values()]
    assert spreads.tolist() == pytest.approx(expected)


def test_running_centroids_move_by_their_momentum() -> None:
    running = RunningCentroids(3, 2, momentum=0.5).double()
    x, y = torch.eye(2).double()
    labels = torch.tensor([1])
    torch.testing.assert_close(running(x[None], labels)[0], x)
    running.keep()
    moved = running(y[None], labels)[0]
    torch.testing.assert_close(moved, unit(x + y))
    # Not before the step is done.
    torch.testing.assert_close(running.centroids[1], x)
    running.keep()
    torch.testing.assert_close(running.centroids[1], unit(x + y))
    assert running.met.tolist() == [False, True, False]


# Filters


@quick
@given(
    labels=st.lists(st.integers(0, 2), min_size=2, max_size=6),
    seed=st.integers(0, 99),
    own=st.booleans(),
    margin=st.sampled_from([0.0, 0.3]),
)
def test_filters_equal_a_loop(labels: list[int], seed: int, own: bool, margin: float) -> None:
    side, count = side_of(labels, seed), 5
    shape = (len(labels), count) if own else (count,)
    points = unit(torch.randn(*shape, 5, generator=generator(seed)).double())
    parents = torch.randint(len(labels), (*shape, 2), generator=generator(seed))
    classes = side.identity[parents]
    table = side.candidates
    found = {
        "similarity": similarities(side.anchors, points),
        "differs": differs_from(classes, side.identity),
        "inherits": inherits(classes, side.identity),
        "clear": stays_clear(side, points, table, parents, margin),
    }
    logits = torch.randn(*shape, 3, generator=generator(seed + 1)).double()
    share, likeliest = class_probability(logits, side.identity)
    for i, k in itertools.product(range(len(labels)), range(count)):
        place = (i, k) if own else (k,)
        of_point = [labels[row] for row in parents[place].tolist()]
        near = max((points[place] @ table[row]).item() for row in parents[place].tolist())
        intruder = max(
            (points[place] @ table[j]).item() for j, y in enumerate(labels) if y == labels[i]
        )
        expected = {
            "similarity": (side.anchors[i] @ points[place]).item(),
            "differs": labels[i] not in of_point,
            "inherits": set(of_point) == {labels[i]},
            "clear": intruder <= near - margin,
        }
        assert {name: each[i, k].item() for name, each in found.items()} == pytest.approx(expected)
        shares = logits[place].softmax(dim=0)
        assert share[i, k].item() == pytest.approx(shares[labels[i]].item())
        assert likeliest[i, k].item() == (shares.argmax().item() == labels[i])


def test_the_readout_is_the_linear_map_also_with_dead_units() -> None:
    weights, offset = torch.randn(4, 6).double(), torch.randn(4).double()
    readout = LinearReadout(6, 4).double()
    for seed in range(4):
        embedding = torch.randn(10, 6, generator=generator(seed)).double().relu()
        embedding[:, 2] = 0
        assert readout.is_known is (seed >= 3)
        readout.observe(embedding, embedding @ weights.T + offset)
    torch.testing.assert_close(readout(embedding), embedding @ weights.T + offset)
    settled = readout.solution.clone()
    readout.observe(embedding, 0 * embedding[:, :4])
    assert torch.equal(readout.solution, settled)


# Selection


@quick
@given(
    seed=st.integers(0, 200),
    real=st.integers(1, 5),
    synthetic=st.integers(0, 6),
    options=st.sampled_from(
        [{}, {"top_k": 1}, {"top_k": 3}, {"skip_easy": True}, {"hardest_only": True}]
    ),
)
def test_selection_equals_a_loop(
    seed: int, real: int, synthetic: int, options: dict[str, Any]
) -> None:
    source = generator(seed)
    cosines = [torch.rand(3, count, generator=source) for count in (real, synthetic)]
    allowed = [torch.rand(3, count, generator=source) < 0.7 for count in (real, synthetic)]
    found = select(*cosines, *allowed, SelectionOptions(**options))
    for i in range(3):
        ours, theirs = (
            {k for k in range(part.shape[1]) if ok[i, k]}
            for part, ok in zip(cosines, allowed, strict=True)
        )
        values = sorted(cosines[0][i, k].item() for k in ours)
        if options.get("skip_easy") and values:
            median = values[(len(values) - 1) // 2]
            theirs = {k for k in theirs if cosines[1][i, k] >= median}
        ranked = sorted(
            [(cosines[0][i, k].item(), 0, k) for k in ours]
            + [(cosines[1][i, k].item(), 1, k) for k in theirs],
            reverse=True,
        )
        if "top_k" in options:
            theirs &= {k for _, kind, k in ranked[: options["top_k"]] if kind}
        if options.get("hardest_only"):
            ours = {k for _, kind, k in ranked[:1] if not kind}
            theirs = {k for _, kind, k in ranked[:1] if kind}
        assert {*found[0][i].nonzero().flatten().tolist()} == ours
        assert {*found[1][i].nonzero().flatten().tolist()} == theirs


# Weights


def reference_terms(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, counts of the negatives (0 for others) and own columns."""
    source = generator(seed)
    scores = 3 * torch.randn(4, 9, generator=source).double()
    counts = torch.rand(4, 9, generator=source).double() * 2
    counts = counts.masked_fill(torch.rand(4, 9, generator=source) < 0.3, 0)
    own = torch.arange(4)
    counts[own, own] = 0
    counts[3] = 0
    return scores, counts, own


@quick
@given(seed=st.integers(0, 200), beta=st.sampled_from([0.0, 0.5, 2.0]))
def test_hardness_weights_equal_a_loop(seed: int, beta: float) -> None:
    scores, counts, own = reference_terms(seed)
    weights = log_hardness_weights(scores, counts.log(), beta).exp()
    log_counts = (counts.log() + weights.log()).scatter(1, own[:, None], 0.0)
    total = 0.0
    for i in range(4):
        used = [j for j in range(9) if counts[i, j] > 0]
        number = sum(counts[i, j].item() for j in used)
        below = math.exp(scores[i, i])
        if used:
            mean = sum(counts[i, j].item() * math.exp(beta * scores[i, j]) for j in used) / number
        for j in used:
            weight = math.exp(beta * scores[i, j]) / mean
            assert weights[i, j].item() == pytest.approx(weight)
            below += counts[i, j].item() * weight * math.exp(scores[i, j])
        total += math.log(below) - scores[i, i].item()
    assert weighted_info_nce(scores, log_counts, own).item() == pytest.approx(total / 4)


@quick
@given(
    seed=st.integers(0, 200),
    beta=st.sampled_from([0.0, 1.0]),
    tau_plus=st.sampled_from([0.01, 0.1, 0.9]),
)
def test_the_correction_equals_its_formula(seed: int, beta: float, tau_plus: float) -> None:
    scores, counts, own = reference_terms(seed)
    log_weights = log_hardness_weights(scores, counts.log(), beta)
    total, floor = 0.0, -8.0
    for i in range(4):
        number = counts[i].sum().item()
        if number == 0:
            continue
        positive = math.exp(scores[i, i])
        negative = (counts[i] * log_weights[i].exp() * scores[i].exp()).sum().item()
        corrected = (negative - tau_plus * number * positive) / (1 - tau_plus)
        corrected = max(corrected, number * math.exp(floor))
        total += math.log((positive + corrected) / positive)
    found = corrected_info_nce(scores, counts.log(), log_weights, own, tau_plus, floor)
    assert found.item() == pytest.approx(total / 4)


def test_the_correction_has_finite_gradients_everywhere() -> None:
    for scale in (0.0, 1.0, 20.0):
        scores = (scale * torch.randn(4, 9, generator=generator())).requires_grad_()
        _, counts, own = reference_terms(0)
        log_weights = log_hardness_weights(scores, counts.log().float(), 1.0)
        corrected_info_nce(scores, counts.log().float(), log_weights, own, 0.1, -20.0).backward()
        assert scores.grad is not None
        assert scores.grad.isfinite().all()


def test_equal_weights_are_the_plain_loss() -> None:
    labels = torch.arange(8) % 3
    plain = value(aecrd(), labels).item()
    tiny = value(aecrd(reweighting={"beta": 1e-12}), labels).item()
    harder = value(aecrd(reweighting={"beta": 1.0}), labels).item()
    assert tiny == pytest.approx(plain)
    assert harder > plain


def test_the_correction_makes_the_loss_smaller() -> None:
    options: dict[str, Any] = {"negatives": "all", "pairs": {"policy": "random"}}
    labels = torch.arange(8) % 3
    plain = value(aecrd(**options), labels).item()
    corrected = value(aecrd(**options, reweighting={"tau_plus": 0.05}), labels).item()
    assert 0 < corrected < plain


# Diagnostics


def test_measures_of_known_points() -> None:
    same = torch.ones(5, 4).double() / 2
    assert alignment(same, same) == 0
    assert uniformity(same).item() == pytest.approx(0)
    spread = unit(torch.randn(2000, 128, generator=generator()).double())
    assert uniformity(spread).item() == pytest.approx(-3.94, abs=0.01)
    assert alignment(spread, spread.flip(0)).item() == pytest.approx(2, abs=0.02)


def test_the_histogram_has_a_place_for_every_cosine() -> None:
    cosines = torch.tensor([-1.0, -0.95, 0.0, 0.96, 1.0, 1.0001, 0.5])
    counted = torch.tensor([1, 1, 1, 1, 1, 1, 0]).bool()
    found = hardness_histogram(cosines, counted)
    expected = torch.zeros(log.BINS)
    expected[[0, 10, 19]] = torch.tensor([2, 1, 3]) / 6
    torch.testing.assert_close(found, expected)


def test_diagnostics_equal_a_loop() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 0])
    method = aecrd(dim=5, directions="student", pairs={"policy": "random"}, selection={"top_k": 4})
    student, teacher = draw(7, 6, 0), draw(7, 5, 1)
    method(student, teacher, batch(labels))
    found = method.diagnostics
    s = method.student_head(student.embedding).detach()
    t = method.teacher_head(teacher.embedding).detach()
    side = Side(s, t, labels)
    made = method._synthesise("student_anchor", side, batch(labels))
    top, real, synthetic, false, taken, places = 4, [], [], 0, 0, 0
    for i, y in enumerate(labels.tolist()):
        ours = [(float(s[i] @ t[j]), -1) for j in range(7) if labels[j] != y]
        theirs = [
            (float(s[i] @ p), k)
            for k, p in enumerate(made.points)
            if y not in made.classes[k].tolist()
        ]
        ranked = sorted(ours + theirs, reverse=True)[:top]
        kept = [each for each in ranked if each[1] >= 0]
        taken, places = taken + len(kept), places + len(ranked)
        real += [cosine for cosine, _ in ours]
        synthetic += [cosine for cosine, _ in kept]
        false += sum(labels[(t @ made.points[k]).argmax()].item() == y for _, k in kept)
    assert found[log.TOP_K_SHARE].item() == pytest.approx(taken / places)
    assert found[log.FALSE_NEGATIVES].item() == pytest.approx(false / len(synthetic))
    for name, cosines in {log.REAL_HARDNESS: real, log.SYNTHETIC_HARDNESS: synthetic}.items():
        counts = torch.histc(torch.tensor(cosines), log.BINS, -1, 1)
        torch.testing.assert_close(found[name].float(), counts / counts.sum())
    pairs = [*itertools.combinations(range(7), 2)]
    angles = [math.degrees(math.acos(float(t[j] @ t[k]))) for j, k in pairs]
    assert found[log.PAIR_ANGLE].item() == pytest.approx(sum(angles) / len(angles))
    assert found[log.ALIGNMENT].item() == pytest.approx((s - t).square().sum(dim=1).mean().item())
    assert found[log.OUT_OF_PLANE] > 1
    assert not any(figure.requires_grad for figure in found.values())


@pytest.mark.parametrize(
    ("curve", "leaves"),
    [
        ({"interpolation": "linear"}, False),
        ({"interpolation": "slerp"}, False),
        ({"interpolation": "mixup"}, False),
        ({"interpolation": "extrapolation"}, False),
        ({"tangents": "zero"}, False),
        ({"tangents": "geodesic", "scale": 2.0}, False),
        ({"tangents": "cardinal"}, True),
        ({"tangents": "random"}, True),
        ({"tangents": "anchor"}, True),
        ({"tangents": "centroid"}, True),
        ({"interpolation": "bezier"}, True),
    ],
    ids=str,
)
def test_the_angle_tells_which_curves_leave_the_plane_in_single_precision(
    curve: dict[str, Any], leaves: bool
) -> None:
    method = aecrd(64, 64, dim=64, pairs={"policy": "same-class"}, curve=curve).float()
    student, teacher = (
        draw(32, 64, seed)._replace(embedding=draw(32, 64, seed).embedding.detach().float())
        for seed in (0, 1)
    )
    method(student, teacher, batch(torch.arange(32) % 4))
    assert (method.diagnostics[log.OUT_OF_PLANE].item() > 0.01) is leaves


def test_diagnostics_are_taken_in_every_tenth_step() -> None:
    method, labels = aecrd(), torch.arange(6) % 2
    taken = []
    for step in range(21):
        method.diagnostics = {}
        value(method, labels, step=step)
        taken.append(bool(method.diagnostics))
    assert [step for step, has in enumerate(taken) if has] == [0, 10, 20]


def test_diagnostics_leave_out_what_there_is_not() -> None:
    method = aecrd(synthetic={"role": "none"})
    value(method, torch.arange(6) % 2)
    assert {*method.diagnostics} == {
        log.ALIGNMENT, log.STUDENT_UNIFORMITY, log.TEACHER_UNIFORMITY, log.REAL_HARDNESS
    }  # fmt: skip
    method = aecrd()
    value(method, torch.arange(6))
    assert log.PAIR_ANGLE not in method.diagnostics
    assert all(figure.isfinite().all() for figure in method.diagnostics.values())
