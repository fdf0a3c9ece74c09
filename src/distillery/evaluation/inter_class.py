"""How far a network's view of the relations between classes is from its teacher's.

Two matrices with a row and a column for each class are compared: the correlations of the logits
over the test set (Tian et al. 2020, arXiv:1910.10699, section 4), and the mean logits of the images
of each class, as the notebooks of mdistiller and of LSKD (Sun et al. 2024, arXiv:2403.01427) do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pydantic import Field
from scipy.stats import zscore

from distillery.core.columns import as_column
from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo
from distillery.evaluation.base import METRICS, Protocol, write_details
from distillery.evaluation.metrics import defined
from distillery.models import predictions

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace


class InterClass(Protocol):
    """Differences of two matrices with a row and a column for each class."""

    title = "Inter-class correlation"

    class Options(FrozenModel):
        """Options of the protocol."""

        z_score: bool = Field(default=False)
        """Whether the logits of each image are shifted to mean 0 and scaled to standard deviation 1
        (n - 1 in its denominator) before they are averaged by class. Correlations are always those
        of the logits as they are."""

    options: Options

    def run(self, work: Workspace) -> None:
        """Write ``metrics.json`` and ``details.parquet``.

        Metrics: ``correlation_difference`` and ``class_mean_difference``, the mean absolute
        difference to the teacher's matrix off the diagonal. One that is undefined is left out.

        Details: a row for each ``class`` with its row of both matrices of differences, network
        minus teacher: ``correlation`` and ``class_mean``, lists of as many numbers as there are
        classes.
        """
        own, teacher = (predictions.read(work.inputs[name]) for name in ("network", "teacher"))
        correlation = class_correlations(own.logits) - class_correlations(teacher.logits)
        mean = difference_of_means(own, teacher, z_score=self.options.z_score)
        metrics = {
            "correlation_difference": off_diagonal_mean(correlation),
            "class_mean_difference": off_diagonal_mean(mean),
        }
        work.write_json(METRICS, defined(metrics))
        rows = {
            "class": pa.array(DataSetInfo.load(work.inputs["prepared"]).classes),
            "correlation": as_column(correlation.astype(np.float32)),
            "class_mean": as_column(mean.astype(np.float32)),
        }
        write_details(work, pa.table(rows))


def class_correlations(logits: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of the logits of each two classes over the images.

    Args:
        logits: (N, C).

    Returns:
        (C, C) float64; NaN where a logit is the same for all images.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.corrcoef(logits.astype(np.float64), rowvar=False))


def class_means(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean logits of the images of each class.

    Args:
        logits: (N, C).
        labels: (N,) integers below C.

    Returns:
        (C, C) float64, a row for each true class; NaN for a class without images.
    """
    classes = logits.shape[1]
    sums = np.zeros((classes, classes))
    np.add.at(sums, labels, logits)
    with np.errstate(invalid="ignore"):
        return sums / np.bincount(labels, minlength=classes)[:, None]


def difference_of_means(
    own: predictions.Predictions, teacher: predictions.Predictions, *, z_score: bool
) -> np.ndarray:
    """Return by how much the class means of two networks differ: (C, C) with zero diagonal."""
    logits = [told.logits.astype(np.float64) for told in (own, teacher)]
    if z_score:
        logits = [zscore(told, axis=1, ddof=1) for told in logits]
    first, second = (class_means(told, own.labels) for told in logits)
    difference: np.ndarray = first - second
    # How sure the networks are of the right class says nothing of relations between classes.
    np.fill_diagonal(difference, 0)
    return difference


def off_diagonal_mean(matrix: np.ndarray) -> float:
    """Return the mean absolute value of (C, C) off its diagonal; NaN do not count."""
    values = np.abs(matrix[~np.eye(len(matrix), dtype=bool)])
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
