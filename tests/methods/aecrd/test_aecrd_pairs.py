"""The pair policies of AECRD against plain loops, up to the loss."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from aecrd_probes import POLICIES, aecrd, batch, choose, draw, generator, side_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distillery.methods.aecrd.options import Policy
from distillery.methods.aecrd.pairs import HARDEST, Pairs, Side, at_most

N = 2
Pair = tuple[Tensor, Tensor, set[int]]
LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=HARDEST + 5)


def pairs_of(policy: Policy, side: Side, anchor: int) -> list[Pair]:
    """Return the pairs of an anchor with the classes of their points, by the definitions."""
    points, labels = side.candidates, side.identity.tolist()
    rows = range(len(labels))
    means = {
        label: F.normalize(sum(points[j] for j in rows if labels[j] == label), dim=0)  # type: ignore[arg-type]
        for label in labels
    }
    if policy == "centroid":
        return [(points[j], means[labels[j]], {labels[j]}) for j in rows]
    if policy == "centroid-pair":
        return [(means[a], means[b], {a, b}) for a, b in itertools.combinations(means, 2)]
    if policy == "nearest-other-class":
        found = set()
        for j in rows:
            others = [k for k in rows if labels[k] != labels[j]]
            if others:
                nearest = max(others, key=lambda k: (points[j] @ points[k]).item())
                found.add(frozenset((j, nearest)))
        return [(points[j], points[k], {labels[j], labels[k]}) for j, k in map(sorted, found)]
    if policy in ("same-class", "random"):
        return [
            (points[j], points[k], {labels[j], labels[k]})
            for j, k in itertools.combinations(rows, 2)
            if policy == "random" or labels[j] == labels[k]
        ]
    others = [k for k in rows if labels[k] != labels[anchor]]
    others.sort(key=lambda k: -(side.anchors[anchor] @ points[k]).item())
    hard = others[:HARDEST]
    if policy == "hard-hard":
        return [
            (points[j], points[k], {labels[j], labels[k]})
            for j, k in itertools.combinations(hard, 2)
        ]
    return [(points[anchor], points[k], {labels[k]}) for k in hard]


def by_loop(policy: Policy, side: Side, temperature: float) -> float:
    """Return the loss of one direction with straight lines, point by point."""
    labels, total = side.identity.tolist(), 0.0
    for i, label in enumerate(labels):

        def term(point: Tensor, i: int = i) -> float:
            return math.exp((side.anchors[i] @ point).item() / temperature)

        own = term(side.candidates[i])
        below = own + sum(
            term(side.candidates[j]) for j, other in enumerate(labels) if other != label
        )
        for start, end, classes in pairs_of(policy, side, i):
            if label in classes:
                continue
            for k in range(1, N + 1):
                t = k / (N + 1)
                if policy == "anchor-negative":
                    t = (1 + t) / 2
                below += term(F.normalize((1 - t) * start + t * end, dim=0))
        total += math.log(below / own)
    return total / len(labels)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "single"])
@settings(max_examples=25)
@given(labels=LABELS, seed=st.integers(0, 500))
def test_the_loss_equals_a_loop(policy: Policy, labels: list[int], seed: int) -> None:
    options = {"pairs": {"policy": policy}, "curve": {"interpolation": "linear"}}
    method = aecrd(dim=5, temperature=0.3, **options)
    student, teacher = draw(len(labels), 6, seed), draw(len(labels), 5, seed + 1)
    terms = method(student, teacher, batch(torch.tensor(labels)))
    students = method.student_head(student.embedding).detach()
    teachers = method.teacher_head(teacher.embedding).detach()
    sides = {"student_anchor": (students, teachers), "teacher_anchor": (teachers, students)}
    for name, both in sides.items():
        expected = by_loop(policy, Side(*both, torch.tensor(labels)), 0.3)
        assert terms[name].item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_one_class_twice_in_a_batch_is_one_pair() -> None:
    pairs = choose(side_of([0, 1, 0, 2], 0), "same-class")
    assert [*zip(*(part[pairs.valid].tolist() for part in pairs[:2]), strict=True)] == [(0, 2)]


@settings(max_examples=40)
@given(labels=LABELS, seed=st.integers(0, 99), count=st.integers(1, 30))
def test_a_limit_keeps_what_is_valid(labels: list[int], seed: int, count: int) -> None:
    side = side_of(labels, seed)
    every = choose(side, "same-class")
    some = choose(side, "same-class", max_pairs=count)
    assert some.valid.shape[-1] <= count
    assert some.valid.sum() == min(count, int(every.valid.sum()))
    known = {*zip(*(part[every.valid].tolist() for part in every[:2]), strict=True)}
    kept = [*zip(*(part[some.valid].tolist() for part in some[:2]), strict=True)]
    assert set(kept) <= known
    assert len(set(kept)) == len(kept)


def test_a_limit_prefers_no_pair() -> None:
    """Each of ten valid pairs of twenty is kept in about three of ten draws of three."""
    rows = torch.arange(20)
    pairs = Pairs(rows, rows, rows, rows % 2 == 0)
    source, counts = generator(), torch.zeros(20)
    for _ in range(2000):
        counts[at_most(pairs, 3, source).first] += 1
    assert counts[1::2].sum() == 0
    assert (counts[::2] / 2000 - 0.3).abs().max() < 0.05


def test_curves_with_a_direction_are_drawn_both_ways() -> None:
    side = side_of([0, 0, 1], 0)
    pairs = choose(side, "random", ordered=True)
    found = {*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}
    assert found == {*itertools.permutations(range(3), 2)}


def test_the_anchors_own_candidate_has_the_lesser_share() -> None:
    labels = torch.arange(4)
    side = side_of(labels.tolist(), 1)
    options = {"pairs": {"policy": "anchor-negative"}, "curve": {"interpolation": "slerp"}}
    made = aecrd(dim=5, **options)._synthesise("student_anchor", side, batch(labels))
    assert torch.equal(made.class_rows[..., 0], made.class_rows[..., 1])
    to_anchor = (made.points * side.candidates[:, None]).sum(dim=-1)
    to_negative = (made.points * side.candidates[made.class_rows[..., 0]]).sum(dim=-1)
    assert made.valid.any()
    assert (to_negative > to_anchor)[made.valid].all()
