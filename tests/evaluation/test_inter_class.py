"""Matrices of the protocol against plain loops and closed forms."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import Project
from protocol_runs import drawn, measure

from distillery.evaluation.inter_class import (
    class_correlations,
    class_means,
    difference_of_means,
    off_diagonal_mean,
)
from distillery.models.predictions import Predictions
from distillery.reporting.results.collected import Results
from distillery.runs.artifact import Artifact

SEEDS = st.integers(0, 2**32 - 1)


def with_logits(told: Predictions, logits: np.ndarray) -> Predictions:
    return told._replace(logits=logits.astype(np.float32))


def shown(details: object, column: str) -> np.ndarray:
    return np.stack([*details[column]])  # type: ignore[index]


@given(SEEDS, st.integers(2, 6))
def test_correlations_are_those_of_loops(seed: int, classes: int) -> None:
    logits = np.random.default_rng(seed).standard_normal((15, classes))
    logits[:, 0] += logits[:, 1]
    found = class_correlations(logits)
    for i in range(classes):
        for j in range(classes):
            a, b = (logits[:, k] - sum(logits[:, k]) / 15 for k in (i, j))
            expected = sum(a * b) / (sum(a * a) * sum(b * b)) ** 0.5
            assert found[i, j] == pytest.approx(expected)


@given(SEEDS)
def test_class_means_are_those_of_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits, labels = random.standard_normal((20, 4)), random.integers(4, size=20)
    found = class_means(logits, labels)
    for label in range(4):
        members = [logits[row] for row in range(20) if labels[row] == label]
        if members:
            assert found[label] == pytest.approx(sum(members) / len(members))
        else:
            assert np.isnan(found[label]).all()


def test_a_teacher_beside_itself(tmp_path: Path) -> None:
    teacher = drawn()
    metrics, details = measure(tmp_path, "inter-class", teacher, teacher)
    assert metrics == {"correlation_difference": 0, "class_mean_difference": 0}
    assert not shown(details, "correlation").any()
    assert not shown(details, "class_mean").any()


def test_correlations_see_neither_scale_nor_shift_but_means_do(tmp_path: Path) -> None:
    teacher = drawn()
    own = with_logits(teacher, 2 * teacher.logits + np.arange(5))
    metrics, _ = measure(tmp_path, "inter-class", own, teacher)
    assert metrics["correlation_difference"] == pytest.approx(0, abs=1e-6)
    assert metrics["class_mean_difference"] > 0.1


def test_metrics_are_means_of_the_details(tmp_path: Path) -> None:
    metrics, details = measure(tmp_path, "inter-class", drawn(seed=1), drawn(seed=2))
    assert details is not None
    assert details["class"].tolist() == [f"class {number}" for number in range(5)]
    places = [(i, j) for i in range(5) for j in range(5) if i != j]
    for column in ("correlation", "class_mean"):
        matrix = shown(details, column)
        assert matrix.shape == (5, 5)
        assert np.diag(matrix) == pytest.approx(np.zeros(5), abs=1e-6)
        mean = sum(abs(float(matrix[place])) for place in places) / 20
        assert metrics[f"{column}_difference"] == pytest.approx(mean, rel=1e-5)
        assert mean > 0.01


def test_details_are_network_minus_teacher(tmp_path: Path) -> None:
    """The student has two classes that it always holds for alike, the teacher for opposite."""
    random = np.random.default_rng(0)
    labels, noise = np.arange(60) % 3, random.standard_normal((60, 3))
    taught, told = noise.copy(), noise.copy()
    taught[:, 1], told[:, 1] = -taught[:, 0], told[:, 0]
    teacher = Predictions(labels, taught.astype(np.float32), noise.astype(np.float32))
    _, details = measure(tmp_path, "inter-class", with_logits(teacher, told), teacher)
    assert shown(details, "correlation")[0, 1] == pytest.approx(2)


def test_z_scores_see_neither_scale_nor_shift_of_an_image() -> None:
    teacher, random = drawn(seed=3), np.random.default_rng(3)
    scale, shift = random.uniform(0.5, 2, (200, 1)), random.standard_normal((200, 1))
    own = with_logits(teacher, scale * teacher.logits + shift)
    assert np.abs(difference_of_means(own, teacher, z_score=True)).max() < 1e-5
    assert np.abs(difference_of_means(own, teacher, z_score=False)).max() > 0.05


def test_z_scores_of_one_image_a_class() -> None:
    """The standard deviation of (2, 0, 1) is one, that of (0, 4, 2) is two."""
    logits = np.array([[2.0, 0.0, 1.0], [0.0, 4.0, 2.0], [1.0, 2.0, 0.0]])
    own = Predictions(np.arange(3), logits.astype(np.float32), np.zeros((3, 2), np.float32))
    teacher = with_logits(own, np.tile([-1.0, 0.0, 1.0], (3, 1)))
    found = difference_of_means(own, teacher, z_score=True)
    assert found == pytest.approx(np.array([[0, -1, -1], [0, 0, -1], [1, 1, 0]]))


def test_z_scores_leave_correlations_alone(tmp_path: Path) -> None:
    own, teacher = drawn(seed=1), drawn(seed=2)
    plain, _ = measure(tmp_path, "inter-class", own, teacher)
    scored, _ = measure(tmp_path, "inter-class", own, teacher, z_score=True)
    assert plain["correlation_difference"] == scored["correlation_difference"]
    assert plain["class_mean_difference"] != scored["class_mean_difference"]


def test_a_class_without_images_does_not_count(tmp_path: Path) -> None:
    own, teacher = (
        told._replace(labels=np.minimum(told.labels, 3)) for told in (drawn(seed=1), drawn(seed=2))
    )
    metrics, details = measure(tmp_path, "inter-class", own, teacher)
    matrix = shown(details, "class_mean")
    assert np.isnan(matrix[4, :4]).all()
    assert not np.isnan(matrix[:4]).any()
    assert metrics["class_mean_difference"] == pytest.approx(off_diagonal_mean(matrix), rel=1e-5)


def test_a_constant_logit_has_no_correlation(tmp_path: Path) -> None:
    teacher = drawn()
    logits = teacher.logits.copy()
    logits[:, 2] = 1
    metrics, details = measure(tmp_path, "inter-class", with_logits(teacher, logits), teacher)
    matrix = shown(details, "correlation")
    assert np.isnan(matrix[2]).all()
    assert metrics["correlation_difference"] == pytest.approx(0, abs=1e-6)


def test_nothing_is_said_of_a_network_whose_logits_are_all_constant(tmp_path: Path) -> None:
    teacher = drawn()
    own = with_logits(teacher, np.ones_like(teacher.logits))
    metrics, _ = measure(tmp_path, "inter-class", own, teacher)
    assert list(metrics) == ["class_mean_difference"]


def test_a_student_of_two_pairs_is_compared_with_the_teacher_of_each(project: Project) -> None:
    """Cross-entropy is one run in both pairs, and its details are those of two comparisons."""
    changes = {
        "training": {"epochs": 1},
        "teachers": {"u": {"arch": "resnet8", "seed": 1}},
        "pairs": {"q": {"teacher": "u", "student": "resnet8"}},
        "!protocols": {"inter-class": {}},
    }
    planned = project.plan(changes)
    project.make_all(planned)
    results = Results.read(planned.report, Artifact(project.data / planned.collected))
    first, second = results.students.itertuples()
    assert first.run == second.run
    details = results.details("inter-class")
    for student in (first, second):
        about = (details["run"] == student.run) & (details["teacher_key"] == student.teacher_key)
        found = shown(details[about], "correlation")
        assert found.shape == (10, 10)
        mean = results.students.loc[student.Index, "inter-class/correlation_difference"]
        assert off_diagonal_mean(found) == pytest.approx(mean, rel=1e-5)
    assert len(set(results.students["inter-class/correlation_difference"])) == 2
