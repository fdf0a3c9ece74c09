"""Figures of the protocol against plain loops and against torchmetrics."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from project import Project
from protocol_runs import run_made_up
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
)

from distillery.evaluation.metrics import calibration_error
from distillery.models import predictions
from distillery.models.predictions import Predictions
from distillery.runs.artifact import Artifact
from distillery.runs.produce import produce
from distillery.runs.run import Run


def features(images: int) -> np.ndarray:
    """Return embeddings, which the protocol does not look at."""
    return np.zeros((images, 1), dtype=np.float32)


def drawn(images: int, classes: int, seed: int = 0, scale: float = 2.0) -> Predictions:
    random = np.random.default_rng(seed)
    logits = scale * random.standard_normal((images, classes))
    labels = random.integers(classes, size=images)
    return Predictions(labels, logits.astype(np.float32), features(images))


def measure(
    data: Path, own: Predictions, teacher: Predictions, **options: Any
) -> tuple[dict[str, float], pd.DataFrame]:
    """Run the protocol on made-up networks; return its metrics and its table of classes."""
    artifact = run_made_up(data, "classification", own, teacher, **options)
    return artifact.json("metrics.json"), pd.read_csv(artifact.file("classes.csv"))


def probabilities(row: np.ndarray) -> list[float]:
    powers = [math.exp(float(value) - float(row.max())) for value in row]
    return [power / sum(powers) for power in powers]


def by_loops(own: Predictions, teacher: Predictions, bins: int) -> dict[str, float]:
    """All metrics, image by image."""
    top1 = top5 = agreement = nll = divergence = 0.0
    gaps = [0.0] * bins
    for label, row, taught in zip(own.labels, own.logits, teacher.logits, strict=True):
        told, expected = probabilities(row), probabilities(taught)
        order = sorted(range(len(row)), key=lambda number: -row[number])
        hit = order[0] == label
        top1 += hit
        top5 += label in order[:5]
        agreement += order[0] == max(range(len(row)), key=lambda number: taught[number])
        nll -= math.log(told[label])
        divergence += sum(p * math.log(p / q) for p, q in zip(expected, told, strict=True))
        # The bins are (0, 1/bins], (1/bins, 2/bins], ...
        place = max(math.ceil(told[order[0]] * bins) - 1, 0)
        gaps[place] += hit - told[order[0]]
    count = len(own.labels)
    return {
        "top1": 100 * top1 / count,
        "top5": 100 * top5 / count,
        "nll": nll / count,
        "ece": 100 * sum(abs(gap) for gap in gaps) / count,
        "agreement": 100 * agreement / count,
        "teacher_kl": divergence / count,
    }


@pytest.mark.parametrize(("classes", "bins"), [(2, 10), (4, 15), (10, 15), (100, 7)])
def test_metrics_are_those_of_plain_loops(tmp_path: Path, classes: int, bins: int) -> None:
    own, teacher = drawn(300, classes, 1), drawn(300, classes, 2)
    metrics, table = measure(tmp_path, own, teacher, calibration_bins=bins)
    assert metrics == pytest.approx(by_loops(own, teacher, bins), rel=1e-9, abs=1e-9)
    predicted = own.logits.argmax(axis=1)
    for number, (name, accuracy) in enumerate(zip(table["class"], table["top1"], strict=True)):
        of_class = predicted[own.labels == number] == number
        assert name == f"class {number}"
        if of_class.size:
            assert accuracy == pytest.approx(100 * of_class.mean())


@pytest.mark.parametrize("classes", [3, 10, 50])
@pytest.mark.parametrize("scale", [0.2, 2, 20])
def test_metrics_are_those_of_torchmetrics(tmp_path: Path, classes: int, scale: float) -> None:
    own = drawn(2000, classes, 3, scale)
    metrics, _ = measure(tmp_path, own, drawn(2000, classes, 4))
    logits, labels = torch.from_numpy(own.logits).double(), torch.from_numpy(own.labels)
    for name, most in (("top1", 1), ("top5", min(5, classes))):
        accuracy = multiclass_accuracy(
            logits, labels, num_classes=classes, top_k=most, average="micro"
        )
        assert metrics[name] == pytest.approx(100 * accuracy.item())
    gap = multiclass_calibration_error(
        logits.softmax(dim=1), labels, num_classes=classes, n_bins=15, norm="l1"
    )
    assert metrics["ece"] == pytest.approx(100 * gap.item(), rel=1e-5, abs=1e-4)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    assert metrics["nll"] == pytest.approx(loss.item())


def test_a_perfect_student_and_teacher(tmp_path: Path) -> None:
    labels = np.arange(30) % 10
    sure = Predictions(
        labels, np.float32(1000) * np.eye(10, dtype=np.float32)[labels], features(len(labels))
    )
    metrics, table = measure(tmp_path, sure, sure)
    assert metrics == {
        "top1": 100,
        "top5": 100,
        "nll": 0,
        "ece": 0,
        "agreement": 100,
        "teacher_kl": 0,
    }
    assert (table["top1"] == 100).all()


def test_a_student_that_is_surely_wrong(tmp_path: Path) -> None:
    labels = np.arange(30) % 10
    wrong = Predictions(
        labels,
        np.float32(1000) * np.eye(10, dtype=np.float32)[(labels + 1) % 10],
        features(len(labels)),
    )
    right = Predictions(
        labels, np.float32(1000) * np.eye(10, dtype=np.float32)[labels], features(len(labels))
    )
    metrics, _ = measure(tmp_path, wrong, right)
    assert metrics["top1"] == metrics["agreement"] == 0
    assert metrics["ece"] == pytest.approx(100)
    assert metrics["nll"] == metrics["teacher_kl"] == pytest.approx(1000)


@pytest.mark.parametrize("classes", [2, 10])
def test_a_student_that_knows_nothing(tmp_path: Path, classes: int) -> None:
    labels = np.arange(100) % classes
    uniform = Predictions(labels, np.zeros((100, classes), dtype=np.float32), features(len(labels)))
    metrics, _ = measure(tmp_path, uniform, uniform, calibration_bins=10)
    share = 100 / classes
    # Ties go to the first class, and its confidence is its frequency.
    assert metrics["top1"] == pytest.approx(share)
    assert metrics["top5"] == pytest.approx(min(100, 5 * share))
    assert metrics["nll"] == pytest.approx(math.log(classes))
    assert metrics["ece"] == pytest.approx(0, abs=1e-9)
    assert (metrics["agreement"], metrics["teacher_kl"]) == (100, 0)


def test_a_class_without_test_images_has_no_accuracy(tmp_path: Path) -> None:
    own = drawn(50, 3)
    own = own._replace(labels=np.minimum(own.labels, 1))
    _, table = measure(tmp_path, own, own)
    assert table["top1"].isna().tolist() == [False, False, True]


def test_accuracy_is_the_one_that_training_measured(shared_project: Project) -> None:
    planned = shared_project.plan()
    for row in planned.rows:
        evaluation = planned.runs[row.evaluations["classification"]]
        metrics = shared_project.make(planned, evaluation).json("metrics.json")
        trained = Artifact(shared_project.data / row.run).json("metrics.json")
        assert metrics["top1"] == pytest.approx(trained["test_top1"])
        if row.table == "teachers":
            assert (metrics["agreement"], metrics["teacher_kl"]) == (100, 0)


@pytest.mark.parametrize("bins", [2, 15])
def test_calibration_error_of_a_known_case(bins: int) -> None:
    """Of four images with confidence 0.8, one is wrong: half a tenth too sure."""
    logits = np.log(np.tile(np.float64([0.8, 0.2]), (4, 1)))
    labels = np.array([0, 0, 0, 1])
    assert calibration_error(logits, labels, bins) == pytest.approx(5)


def test_predictions_survive_storage(tmp_path: Path) -> None:
    told = drawn(1500, 7)
    run = Run("made", "made", "network", {}, {}, "c")
    path = produce(tmp_path, run, lambda work: predictions.write(work.out, told))
    read = predictions.read(Artifact(path))
    assert read.labels.dtype == np.int64
    assert read.logits.dtype == np.float32
    assert np.array_equal(read.labels, told.labels)
    assert np.array_equal(read.logits, told.logits)
