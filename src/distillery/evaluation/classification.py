"""Accuracy, calibration and fidelity to the teacher on the test set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pydantic import Field
from scipy.special import log_softmax, softmax

from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo
from distillery.models import predictions

if TYPE_CHECKING:
    from distillery.runs.artifacts import Workspace

TITLE = "Classification"


class Options(FrozenModel):
    """Options of the protocol."""

    calibration_bins: int = Field(default=15, ge=2, le=1000)
    """Bins of the expected calibration error."""


def run(work: Workspace) -> None:
    """Write ``metrics.json`` and, class by class, ``classes.csv``.

    Metrics: ``top1`` and ``top5`` accuracy, ``ece`` (expected calibration error) and ``agreement``
    with the teacher's prediction, all in percent; ``nll``, mean negative log-likelihood, and
    ``teacher_kl``, mean KL divergence from the teacher's distribution, in nats.
    """
    options = Options(**work.run.settings["options"])
    labels, logits, _ = predictions.read(work.inputs["network"])
    teacher_logits = predictions.read(work.inputs["teacher"]).logits
    own, teacher = (log_softmax(x.astype(np.float64), axis=1) for x in (logits, teacher_logits))
    predicted = own.argmax(axis=1)
    best = np.argsort(-own, axis=1, kind="stable")[:, :5]
    work.write_json(
        "metrics.json",
        {
            "top1": _percent(predicted == labels),
            "top5": _percent((best == labels[:, None]).any(axis=1)),
            "nll": float(-own[np.arange(len(labels)), labels].mean()),
            "ece": 100 * calibration_error(logits, labels, options.calibration_bins),
            "agreement": _percent(predicted == teacher.argmax(axis=1)),
            "teacher_kl": float((np.exp(teacher) * (teacher - own)).sum(axis=1).mean()),
        },
    )
    names = DataSetInfo.load(work.inputs["prepared"]).classes
    hits = np.bincount(labels, predicted == labels, minlength=len(names)).tolist()
    counts = np.bincount(labels, minlength=len(names)).tolist()
    # A class without test images has no accuracy.
    accuracy = [
        100 * hit / count if count else None for hit, count in zip(hits, counts, strict=True)
    ]
    csv.write_csv(pa.table({"class": names, "top1": accuracy}), work.out / "classes.csv")


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """Return the expected calibration error in 0..1 over bins of equal width (Guo et al. 2017).

    Args:
        logits: (N, C).
        labels: (N,) integers.
        bins: number of bins of the confidence.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    place = np.digitize(confidence, inner_edges, right=True)
    gap = (predicted == labels) - confidence
    return float(np.abs(np.bincount(place, gap, minlength=bins)).sum() / len(gap))


def _percent(hits: np.ndarray) -> float:
    return 100 * float(hits.mean())
