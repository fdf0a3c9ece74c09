from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from project import Project
from torchmetrics.functional.classification import multiclass_calibration_error

from distillery import predictions
from distillery.evaluation.classification import calibration_error


@pytest.mark.parametrize("bins", [2, 10, 15])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_calibration_error_equals_torchmetrics(bins: int, scale: float) -> None:
    rng = np.random.default_rng(bins)
    logits = scale * rng.standard_normal((500, 7))
    labels = rng.integers(0, 7, 500)
    probabilities = torch.from_numpy(logits).softmax(dim=1)
    expected = multiclass_calibration_error(
        probabilities, torch.from_numpy(labels), num_classes=7, n_bins=bins
    )
    assert calibration_error(logits, labels, bins) == pytest.approx(expected.item(), abs=1e-6)


def test_metrics_equal_a_plain_loop(shared_project: Project) -> None:
    planned = shared_project.plan()
    row = next(row for row in planned.rows if row.table == "main")
    found = shared_project.make(planned, planned.runs[row.evaluations["classification"]])
    student = predictions.read(shared_project.make(planned, planned.runs[row.run]))
    teacher = predictions.read(shared_project.make(planned, planned.runs[row.teacher]))
    hits = top5 = agree = 0
    nll = 0.0
    for label, own, other in zip(student.labels, student.logits, teacher.logits, strict=True):
        order = sorted(range(10), key=lambda place: -own[place])
        hits += order[0] == label
        top5 += label in order[:5]
        agree += order[0] == other.argmax()
        nll += math.log(sum(math.exp(float(z) - float(own[label])) for z in own))
    count = len(student.labels)
    metrics = found.json("metrics.json")
    assert metrics["top1"] == pytest.approx(100 * hits / count)
    assert metrics["top5"] == pytest.approx(100 * top5 / count)
    assert metrics["agreement"] == pytest.approx(100 * agree / count)
    assert metrics["nll"] == pytest.approx(nll / count, rel=1e-6)
    trained = shared_project.make(planned, planned.runs[row.run]).json("metrics.json")
    assert metrics["top1"] == pytest.approx(trained["test_top1"])


def test_a_teacher_agrees_with_itself(shared_project: Project) -> None:
    planned = shared_project.plan()
    row = next(row for row in planned.rows if row.table == "teachers")
    metrics = shared_project.make(planned, planned.runs[row.evaluations["classification"]]).json(
        "metrics.json"
    )
    assert metrics["agreement"] == 100
    assert metrics["teacher_kl"] == 0
