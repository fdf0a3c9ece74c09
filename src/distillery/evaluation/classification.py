"""Accuracy, calibration and fidelity to the teacher on the test set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pydantic import Field
from scipy.special import log_softmax

from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo
from distillery.evaluation.base import METRICS, Protocol
from distillery.evaluation.metrics import calibration_error, percent, percent_equal
from distillery.models import predictions

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace


class Classification(Protocol):
    """Accuracy, calibration and agreement with the teacher."""

    title = "Classification"
    headings: ClassVar[Mapping[str, str]] = {
        "top1": "Top-1 (%)",
        "top5": "Top-5 (%)",
        "nll": "NLL (nats)",
        "ece": "Calibration error (%)",
        "agreement": "Agreement with the teacher (%)",
        "teacher_kl": "KL to the teacher (nats)",
    }

    class Options(FrozenModel):
        """Options of the protocol."""

        calibration_bins: int = Field(default=15, ge=2, le=1000)
        """Bins of the expected calibration error."""

    options: Options

    def run(self, work: Workspace) -> None:
        """Write ``metrics.json`` and, class by class, ``classes.csv``.

        Metrics: ``top1`` and ``top5`` accuracy, ``ece`` (expected calibration error) and
        ``agreement`` with the teacher's prediction, all in percent; ``nll``, mean negative
        log-likelihood, and ``teacher_kl``, mean KL divergence from the teacher's distribution, in
        nats.
        """
        labels, logits, _ = predictions.read(work.inputs["network"])
        teacher_logits = predictions.read(work.inputs["teacher"]).logits
        own, teacher = (log_softmax(x.astype(np.float64), axis=1) for x in (logits, teacher_logits))
        predicted = own.argmax(axis=1)
        best = np.argsort(-own, axis=1, kind="stable")[:, :5]
        work.write_json(
            METRICS,
            {
                "top1": percent_equal(predicted, labels),
                "top5": percent((best == labels[:, None]).any(axis=1)),
                "nll": float(-own[np.arange(len(labels)), labels].mean()),
                "ece": calibration_error(logits, labels, self.options.calibration_bins),
                "agreement": percent_equal(predicted, teacher.argmax(axis=1)),
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
