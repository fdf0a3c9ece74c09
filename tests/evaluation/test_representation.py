"""Figures of the protocol against closed forms and plain loops."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_runs import drawn, measure

from distillery.core.errors import UserError
from distillery.evaluation import representation
from distillery.evaluation.representation import (
    alignment,
    class_alignment,
    linear_cka,
    nearest,
    on_sphere,
    overlap,
    uniformity,
    vote_accuracy,
)

SEEDS = st.integers(0, 2**32 - 1)


def gaussian(rows: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, dim))


def test_identical_points_are_aligned_and_not_spread() -> None:
    points = np.tile(on_sphere(gaussian(1, 8)), (50, 1))
    labels = np.arange(50) % 3
    assert alignment(points, points) == 0
    assert class_alignment(points, labels) == pytest.approx(0, abs=1e-12)
    assert uniformity(points) == pytest.approx(0, abs=1e-12)
    assert uniformity(points, labels) == pytest.approx(0, abs=1e-12)


def test_uniformity_of_points_spread_evenly_over_a_sphere() -> None:
    """On the sphere in d dimensions d^2 has mean 2 and variance 4/d, hence about -4 + 8/d."""
    points = on_sphere(gaussian(3000, 128))
    assert uniformity(points) == pytest.approx(-4 + 8 / 128, abs=5e-3)
    labels = np.random.default_rng(1).integers(10, size=3000)
    assert class_alignment(points, labels) == pytest.approx(2, abs=2e-2)


def test_two_opposite_points() -> None:
    points = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert uniformity(points) == pytest.approx(-8)
    assert alignment(points, -points) == 4
    assert class_alignment(points, np.array([0, 0])) == pytest.approx(4)


@given(SEEDS, st.integers(2, 30), st.integers(1, 4))
def test_alignment_and_uniformity_are_those_of_loops_over_pairs(
    seed: int, rows: int, classes: int
) -> None:
    points = on_sphere(gaussian(rows, 3, seed))
    labels = np.random.default_rng(seed).integers(classes, size=rows)
    same, between, every = [], [], []
    for i, j in itertools.combinations(range(rows), 2):
        squared = float(sum((a - b) ** 2 for a, b in zip(points[i], points[j], strict=True)))
        every.append(math.exp(-2 * squared))
        if labels[i] == labels[j]:
            same.append(squared)
        else:
            between.append(math.exp(-2 * squared))
    expected = (
        sum(same) / len(same) if same else math.nan,
        math.log(sum(every) / len(every)),
        math.log(sum(between) / len(between)) if between else math.nan,
    )
    found = class_alignment(points, labels), uniformity(points), uniformity(points, labels)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


def test_uniformity_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    points, labels = on_sphere(gaussian(101, 4)), np.arange(101) % 7
    expected = uniformity(points), uniformity(points, labels)
    monkeypatch.setattr(representation, "_BLOCK", 10)
    assert (uniformity(points), uniformity(points, labels)) == pytest.approx(expected)


def hsic(x: np.ndarray, y: np.ndarray) -> float:
    """The Hilbert-Schmidt independence criterion (without its factor) of linear kernels."""
    rows = len(x)
    gram_x, gram_y = (
        [
            [sum(a * b for a, b in zip(z[i], z[j], strict=True)) for j in range(rows)]
            for i in range(rows)
        ]
        for z in (x.tolist(), y.tolist())
    )

    def centred(gram: list[list[float]], i: int, j: int) -> float:
        means = [sum(row) / rows for row in gram]
        return gram[i][j] - means[i] - means[j] + sum(means) / rows

    return sum(
        centred(gram_x, i, j) * centred(gram_y, i, j) for i in range(rows) for j in range(rows)
    )


def test_cka_is_that_of_kernels() -> None:
    x, y = gaussian(12, 5, 1) + 3, gaussian(12, 3, 2)
    y[:, 0] += x[:, 0]
    expected = hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))
    assert 0.1 < expected < 0.9
    assert linear_cka(x, y) == pytest.approx(expected)


@given(SEEDS, st.floats(0.01, 100))
def test_cka_sees_neither_rotation_nor_scale_nor_shift(seed: int, scale: float) -> None:
    x, y = gaussian(40, 6, seed), gaussian(40, 4, seed + 1)
    turn = np.linalg.qr(gaussian(6, 6, seed + 2))[0]
    assert linear_cka(x, scale * x @ turn + 5) == pytest.approx(1)
    assert linear_cka(scale * x @ turn - 1, y) == pytest.approx(linear_cka(x, y))
    assert linear_cka(y, x) == pytest.approx(linear_cka(x, y))


def test_cka_of_independent_features_is_small() -> None:
    """Its expectation is about the root of D E / (N + D) / (N + E)."""
    assert linear_cka(gaussian(5000, 20, 1), gaussian(5000, 20, 2)) < 0.01


def test_cka_sees_what_is_no_rotation() -> None:
    x = gaussian(500, 8)
    assert linear_cka(x, x * np.array([10, 1, 1, 1, 1, 1, 1, 1])) < 0.7


def test_neighbours_leave_the_point_itself_out() -> None:
    points = np.array([[0.0], [1.0], [2.1], [10.0]])
    assert nearest(points, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


def test_votes_of_neighbours() -> None:
    labels = np.array([0, 0, 1, 1])
    near = np.array([[1, 2, 3], [0, 2, 3], [3, 0, 1], [2, 0, 1]])
    assert vote_accuracy(near, labels) == 0
    # One vote each: the smallest label wins.
    assert vote_accuracy(near[:, :2], labels) == 0.5
    assert vote_accuracy(near[:, :1], labels) == 1


@given(SEEDS, st.integers(1, 6))
def test_overlap_is_that_of_sets(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    near, others = (np.stack([random.permutation(12)[:count] for _ in range(9)]) for _ in range(2))
    shares = [len(set(a) & set(b)) / count for a, b in zip(near, others, strict=True)]
    assert overlap(near, others) == pytest.approx(sum(shares) / 9)


def test_a_student_that_is_the_turned_teacher(tmp_path: Path) -> None:
    teacher = drawn()
    turn = np.linalg.qr(gaussian(16, 16, 5))[0]
    own = teacher._replace(embedding=(7 * teacher.embedding @ turn).astype(np.float32))
    metrics, details = measure(tmp_path, "representation", own, teacher)
    assert details is None
    assert metrics["teacher_cka"] == pytest.approx(1)
    assert metrics["fidelity"] == 100
    assert metrics["teacher_neighbours"] > 99.9
    assert metrics["teacher_alignment"] > 0.5
    assert metrics["uniformity_between"] < metrics["uniformity"] < -1
    assert metrics["knn_accuracy"] > 95


def test_a_teacher_beside_itself(tmp_path: Path) -> None:
    teacher = drawn()
    metrics, _ = measure(tmp_path, "representation", teacher, teacher)
    expected = {"teacher_alignment": 0, "teacher_neighbours": 100, "fidelity": 100}
    assert {name: metrics[name] for name in expected} == expected
    assert metrics["teacher_cka"] == pytest.approx(1)


def test_embeddings_of_other_dimensions_are_not_aligned(tmp_path: Path) -> None:
    metrics, _ = measure(tmp_path, "representation", drawn(dim=8), drawn(dim=16))
    assert "teacher_alignment" not in metrics
    assert metrics["teacher_cka"] > 0
    assert all(math.isfinite(value) for value in metrics.values())


def test_a_collapsed_network_has_no_cka(tmp_path: Path) -> None:
    teacher = drawn()
    own = teacher._replace(embedding=np.full_like(teacher.embedding, 0.3))
    metrics, _ = measure(tmp_path, "representation", own, teacher)
    assert "teacher_cka" not in metrics
    assert metrics["uniformity"] == pytest.approx(0, abs=1e-9)
    assert metrics["alignment"] == pytest.approx(0, abs=1e-9)


def test_too_few_images_for_the_neighbours(tmp_path: Path) -> None:
    few = drawn(images=8)
    with pytest.raises(UserError, match=r"options\.neighbours must be below .* 8, not 8$"):
        measure(tmp_path, "representation", few, few, neighbours=8)
