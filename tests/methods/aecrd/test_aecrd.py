"""AECRD as a whole: against the plain contrast, against plain loops, and over all its options."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from aecrd_probes import (
    CURVES,
    DIFFUSIONS,
    POLICIES,
    UNLABELLED_POLICIES,
    aecrd,
    batch,
    draw,
    value,
)
from helpers import context
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distillery.methods import registry
from distillery.methods.aecrd import method as module
from distillery.methods.aecrd.diagnostics import Contrasted
from distillery.methods.aecrd.method import AECRD
from distillery.methods.infonce import InBatchContrast

NOTHING_SYNTHETIC: list[dict[str, Any]] = [
    {"n": 0},
    {"role": "none"},
    {"weight": 0},
    {"warmup_epochs": 1},
]
LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=9).map(torch.tensor)


def for_policy(policy: str, **options: Any) -> dict[str, Any]:
    """Return options of which a policy approves."""
    if policy == "single" and "diffusion" not in options:
        options["diffusion"] = {"kind": "cap"}
    return {"pairs": {"policy": policy}, **options}


@pytest.mark.parametrize("synthetic", NOTHING_SYNTHETIC, ids=str)
@pytest.mark.parametrize("negatives", ["other-class", "all"])
@pytest.mark.parametrize("directions", ["both", "student"])
def test_without_synthetic_points_it_is_the_plain_contrast_to_the_last_bit(
    synthetic: dict[str, Any], negatives: str, directions: str
) -> None:
    shared = {"dim": 8, "negatives": negatives, "directions": directions}
    curve = {"pairs": {"policy": "random"}}
    found: list[Any] = []
    for kind, extra in ((InBatchContrast, {}), (AECRD, {"synthetic": synthetic, **curve})):
        torch.manual_seed(0)
        method = kind(kind.Options(**shared, **extra), context(6, 5))  # type: ignore[operator]
        student, teacher = draw(9, 6, 0), draw(9, 5, 1)
        student, teacher = (
            each._replace(embedding=each.embedding.detach().float().requires_grad_())
            for each in (student, teacher)
        )
        terms = method(student, teacher, batch(torch.arange(9) % 3))
        torch.stack(list(terms.values())).sum().backward()
        gradients = [student.embedding.grad, *(p.grad for p in method.parameters())]
        found.append((terms, gradients))
    (plain, plain_gradients), (terms, gradients) = found
    assert list(plain) == list(terms)
    assert all(torch.equal(plain[name], terms[name]) for name in plain)
    assert all(map(torch.equal, plain_gradients, gradients))


def observed(method: AECRD, labels: Tensor, **where: int) -> list[tuple[Any, ...]]:
    """Run a step and return side, points and negatives of the student's direction."""
    seen: list[tuple[Any, ...]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "diagnose", lambda *args: seen.append(args) or {})
        value(method, labels, **where)
    return seen


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=15)
@given(
    labels=LABELS,
    seed=st.integers(0, 99),
    filters=st.sampled_from([{}, {"collision": True}]),
    selection=st.sampled_from([{}, {"top_k": 2}, {"skip_easy": True}, {"hardest_only": True}]),
    curve=st.sampled_from(CURVES),
)
def test_nothing_of_the_anchors_class_is_a_negative(
    policy: str, labels: Tensor, seed: int, filters: Any, selection: Any, curve: Any
) -> None:
    options = for_policy(policy, filters=filters, selection=selection, curve=curve)
    ((_, made, found, *_),) = observed(aecrd(**options), labels, seed=seed)
    assert isinstance(found, Contrasted)
    real, synthetic = found.chosen[:, : len(labels)], found.chosen[:, len(labels) :]
    assert not (real & (labels[:, None] == labels)).any()
    for anchor, point in synthetic.nonzero().tolist():
        classes = made.classes if made.classes.dim() == 2 else made.classes[anchor]
        assert labels[anchor].item() not in classes[point].tolist()


@pytest.mark.parametrize("policy", UNLABELLED_POLICIES)
def test_without_labels_only_the_own_image_is_spared(policy: str) -> None:
    labels = torch.zeros(6, dtype=torch.long)
    ((_, made, found, *_),) = observed(aecrd(negatives="all", **for_policy(policy)), labels)
    real, synthetic = found.chosen[:, :6], found.chosen[:, 6:]
    assert torch.equal(real, ~torch.eye(6, dtype=torch.bool))
    assert synthetic.any()
    for anchor, point in synthetic.nonzero().tolist():
        rows = made.class_rows if made.class_rows.dim() == 2 else made.class_rows[anchor]
        assert anchor not in rows[point].tolist()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("detach", [True, False])
def test_gradients_of_teacher_points_flow_only_if_asked_for(policy: str, detach: bool) -> None:
    method = aecrd(**for_policy(policy, synthetic={"detach": detach}))
    labels = torch.arange(8) % 3
    ((side, made, *_),) = observed(method, labels)
    assert side.candidates.requires_grad
    assert made.points.requires_grad is not detach


def test_synthetic_points_have_no_gradient_of_their_own_when_detached() -> None:
    """The teacher's head gets exactly what it gets when the points are constants."""
    options = {"directions": "student", "synthetic": {"detach": True}}
    method, labels = aecrd(**options), torch.arange(8) % 3
    ((_, made, *_),) = observed(method, labels)
    student, teacher = draw(8, 6, 0), draw(8, 5, 1000)
    (term,) = method(student, teacher, batch(labels)).values()
    term.backward()
    by_method = teacher.embedding.grad
    fixed = draw(8, 5, 1000)
    s, t = method.student_head(student.embedding), method.teacher_head(fixed.embedding)
    allowed = (made.classes != labels[:, None, None]).all(dim=-1) & made.valid
    other = (labels[:, None] != labels) | torch.eye(8, dtype=torch.bool)
    scores = torch.cat(
        (
            (s @ t.T).masked_fill(~other, -torch.inf),
            (s @ made.points.T).masked_fill(~allowed, -torch.inf),
        ),
        dim=1,
    )
    F.cross_entropy(scores / 0.07, torch.arange(8)).backward()
    assert by_method is not None
    assert fixed.embedding.grad is not None
    torch.testing.assert_close(by_method, fixed.embedding.grad)


EXHAUSTIVE = [policy for policy in POLICIES if policy != "single"]
STEADY = [c for c in CURVES if c["interpolation"] != "mixup" and c["tangents"] != "random"]
STEADY += [{"interpolation": "hermite", "tangents": "kochanek-bartels", "bias": 0.5}]


@pytest.mark.parametrize("curve", STEADY, ids=lambda c: "-".join(map(str, c.values())))
@pytest.mark.parametrize("policy", EXHAUSTIVE)
def test_the_order_of_the_batch_does_not_matter(policy: str, curve: dict[str, Any]) -> None:
    method = aecrd(**for_policy(policy, curve=curve, filters={"collision": True}))
    labels, order = torch.arange(10) % 3, torch.randperm(10)
    student, teacher = draw(10, 6, 0), draw(10, 5, 1)
    plain, mixed = (
        method(
            student._replace(embedding=student.embedding[rows]),
            teacher._replace(embedding=teacher.embedding[rows]),
            batch(labels[rows]),
        )
        for rows in (torch.arange(10), order)
    )
    for name in plain:
        torch.testing.assert_close(plain[name], mixed[name])


COMBINATIONS = [
    (policy, curve, kind)
    for policy, curve, kind in itertools.product(POLICIES, CURVES, DIFFUSIONS)
    if (policy, kind) != ("single", "none")
]


@pytest.mark.parametrize(
    ("policy", "curve", "kind"),
    COMBINATIONS,
    ids=lambda each: "-".join(each.values()) if isinstance(each, dict) else each,
)
def test_every_combination_is_finite_with_its_gradient(
    policy: str, curve: dict[str, Any], kind: str
) -> None:
    diffusion = {"kind": kind, "copies": 2}
    method = aecrd(**for_policy(policy, curve=curve, diffusion=diffusion, temperature=0.05)).float()
    student, teacher = (
        each._replace(embedding=each.embedding.detach().float().requires_grad_())
        for each in (draw(6, 6, 0), draw(6, 5, 1))
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = method(student, teacher, batch(torch.tensor([0, 0, 1, 1, 2, 0])))
    total = torch.stack(list(terms.values())).sum()
    total.backward()
    gradients = [student.embedding.grad, *(p.grad for p in method.parameters())]
    assert total.dtype == torch.float32
    assert total.isfinite()
    assert all(g is not None and g.isfinite().all() for g in gradients)


SMALL = {
    "two of one class": [0, 0],
    "two classes": [0, 1],
    "one image": [2],
    "one class": [1, 1, 1, 1],
    "one alone in its class": [0, 0, 0, 3],
    "all alone": [0, 1, 2, 3],
}


@pytest.mark.parametrize("labels", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("extra", [{}, {"reweighting": {"beta": 1.0}}, {"selection": {"top_k": 1}}])
def test_small_batches(policy: str, labels: list[int], extra: dict[str, Any]) -> None:
    method = aecrd(**for_policy(policy, **extra))
    found = value(method, torch.tensor(labels))
    found.backward()
    assert found.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())
    if len(set(labels)) == 1:
        assert found.item() == 0


def test_identical_and_opposite_points_are_finite() -> None:
    for policy, curve in itertools.product(EXHAUSTIVE, STEADY):
        method = aecrd(5, 5, head="teacher-space", **for_policy(policy, curve=curve)).float()
        point = F.normalize(torch.randn(5), dim=0)
        teachers = torch.stack([point, -point, point, torch.randn(5), -point, torch.zeros(5)])
        student, teacher = (draw(6, 5, seed) for seed in (0, 1))
        student = student._replace(embedding=student.embedding.detach().float().requires_grad_())
        teacher = teacher._replace(embedding=teachers)
        terms = method(student, teacher, batch(torch.tensor([0, 0, 1, 1, 2, 2])))
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        assert total.isfinite(), (policy, curve)
        assert student.embedding.grad is not None
        assert student.embedding.grad.isfinite().all(), (policy, curve)


def test_the_weight_starts_late_and_grows() -> None:
    method = aecrd(synthetic={"weight": 2.0, "warmup_epochs": 2, "ramp_epochs": 3})
    weights = [method.synthetic_weight(epoch) for epoch in range(7)]
    assert weights == pytest.approx([0, 0, 0.5, 1.0, 1.5, 2.0, 2.0])
    assert aecrd().synthetic_weight(0) == 1


def test_weight_counts_points() -> None:
    """A point that counts for two is the same as two points, here two copies of next to none."""
    labels, at = torch.arange(8) % 3, {"kind": "cap", "radius": 1e-9}
    heavy = aecrd(synthetic={"weight": 2.0}, diffusion=at)
    doubled = aecrd(diffusion={**at, "copies": 2})
    assert value(heavy, labels).item() == pytest.approx(value(doubled, labels).item(), rel=1e-7)
    assert value(heavy, labels).item() > value(aecrd(), labels).item()


@pytest.mark.parametrize("role", ["negatives", "positives", "both"])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_roles_equal_a_loop(role: str, weight: float) -> None:
    labels = [0, 0, 0, 1, 1, 2, 3]
    pairs = {"policy": "random"}
    synthetic = {"role": role, "weight": weight}
    method = aecrd(directions="student", synthetic=synthetic, pairs=pairs)
    ((side, made, *_),) = observed(method, torch.tensor(labels))
    total = 0.0
    for i, label in enumerate(labels):
        below, positives = 0.0, [(1.0, score(side.anchors[i], side.candidates[i]))]
        below += math.exp(positives[0][1])
        for j, other in enumerate(labels):
            if other != label:
                below += math.exp(score(side.anchors[i], side.candidates[j]))
        for point, classes in zip(made.points, made.classes.tolist(), strict=True):
            if label not in classes and role != "positives":
                below += weight * math.exp(score(side.anchors[i], point))
            if set(classes) == {label} and role != "negatives":
                below += weight * math.exp(score(side.anchors[i], point))
                positives.append((weight, score(side.anchors[i], point)))
        counts = sum(count for count, _ in positives)
        total += sum(count * (math.log(below) - s) for count, s in positives) / counts
    assert value(method, torch.tensor(labels)).item() == pytest.approx(total / len(labels))


def score(anchor: Tensor, point: Tensor) -> float:
    return (anchor @ point).item() / 0.07


def test_draws_depend_on_seed_and_step_alone() -> None:
    labels = torch.arange(8) % 3
    options = for_policy("random", curve={"interpolation": "mixup"})
    one, again, later = (value(aecrd(**options), labels, step=step).item() for step in (5, 5, 6))
    assert one == again
    assert one != later


def test_what_it_says_of_itself() -> None:
    assert registry.load("aecrd") is AECRD
    assert AECRD.trains_from_cache()
    assert AECRD.couples_batch
    assert AECRD.weights.method == 0.8
    assert AECRD.section == "aecrd"
