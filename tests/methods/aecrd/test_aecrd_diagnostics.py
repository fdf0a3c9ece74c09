"""What AECRD logs, against plain loops and known points."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from aecrd_probes import aecrd, batch, draw, generator, losses

from distillery.core import log_names as log
from distillery.geometry.sphere import unit
from distillery.methods.aecrd.diagnostics import alignment, hardness_histogram, uniformity
from distillery.methods.aecrd.pairs import Side


def test_measures_of_known_points() -> None:
    same = torch.ones(5, 4).double() / 2
    assert alignment(same, same) == 0
    assert uniformity(same).item() == pytest.approx(0)
    spread = unit(torch.randn(2000, 128, generator=generator()).double())
    assert uniformity(spread).item() == pytest.approx(-3.94, abs=0.01)
    assert alignment(spread, spread.flip(0)).item() == pytest.approx(2, abs=0.02)


def test_the_histogram_has_a_bin_for_every_cosine() -> None:
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
    found = method.losses(student, teacher, batch(labels)).diagnostics
    s = method.student_head(student.embedding).detach()
    t = method.teacher_head(teacher.embedding).detach()
    side = Side(s, t, labels)
    made = method._synthesise("student_anchor", side, batch(labels))
    top, real, synthetic, false, taken, ranks = 4, [], [], 0, 0, 0
    for i, y in enumerate(labels.tolist()):
        of_real = [(float(s[i] @ t[j]), -1) for j in range(7) if labels[j] != y]
        of_made = [
            (float(s[i] @ p), k)
            for k, p in enumerate(made.points)
            if y not in made.classes[k].tolist()
        ]
        ranked = sorted(of_real + of_made, reverse=True)[:top]
        kept = [each for each in ranked if each[1] >= 0]
        taken, ranks = taken + len(kept), ranks + len(ranked)
        real += [cosine for cosine, _ in of_real]
        synthetic += [cosine for cosine, _ in kept]
        false += sum(labels[(t @ made.points[k]).argmax()].item() == y for _, k in kept)
    assert found[log.TOP_K_SHARE].item() == pytest.approx(taken / ranks)
    assert found[log.FALSE_NEGATIVES].item() == pytest.approx(false / len(synthetic))
    for name, cosines in {log.REAL_HARDNESS: real, log.SYNTHETIC_HARDNESS: synthetic}.items():
        counts = torch.histc(torch.tensor(cosines), log.BINS, -1, 1)
        torch.testing.assert_close(found[name].float(), counts / counts.sum())
    pairs = [*itertools.combinations(range(7), 2)]
    angles = [math.degrees(math.acos(float(t[j] @ t[k]))) for j, k in pairs]
    assert found[log.PAIR_ANGLE].item() == pytest.approx(sum(angles) / len(angles))
    assert found[log.ALIGNMENT].item() == pytest.approx((s - t).square().sum(dim=1).mean().item())
    assert found[log.OUT_OF_PLANE] > 1
    assert not any(metric.requires_grad for metric in found.values())


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
    found = method.losses(student, teacher, batch(torch.arange(32) % 4)).diagnostics
    assert (found[log.OUT_OF_PLANE].item() > 0.01) is leaves


def test_diagnostics_are_taken_in_every_tenth_step() -> None:
    method, labels = aecrd(), torch.arange(6) % 2
    taken = [step for step in range(21) if losses(method, labels, step=step).diagnostics]
    assert taken == [0, 10, 20]


def test_diagnostics_leave_out_what_there_is_not() -> None:
    found = losses(aecrd(synthetic={"role": "none"}), torch.arange(6) % 2).diagnostics
    assert {*found} == {
        log.ALIGNMENT, log.STUDENT_UNIFORMITY, log.TEACHER_UNIFORMITY, log.REAL_HARDNESS
    }  # fmt: skip
    found = losses(aecrd(), torch.arange(6)).diagnostics
    assert log.PAIR_ANGLE not in found
    assert all(metric.isfinite().all() for metric in found.values())
