"""The geometry of a network's embeddings, and how much of the teacher's is in it.

Alignment and uniformity are those of Wang and Isola 2020 (arXiv:2005.10242), the linear centred
kernel alignment (CKA) that of Kornblith et al. 2019 (arXiv:1905.00414).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel
from distillery.evaluation.base import METRICS, Protocol
from distillery.evaluation.metrics import calibration_error, defined, percent_equal
from distillery.models import predictions

if TYPE_CHECKING:
    from distillery.data.info import Part
    from distillery.runs.produce import Workspace

# Of the kernel in the uniformity, as published.
_SCALE = 2.0
# Rows of a matrix of pairs that are in memory at a time: 41 MB for 10,000 images.
_BLOCK = 512


class Representation(Protocol):
    """Alignment, uniformity and neighbours, and similarity to the teacher."""

    title = "Representation quality"

    class Options(FrozenModel):
        """Options of the protocol."""

        neighbours: int = Field(default=10, ge=1, le=1000)
        """Nearest neighbours of a test image that vote for its class, and that are compared with
        those in the teacher's embedding. There must be more test images than that."""
        calibration_bins: int = Field(default=15, ge=2, le=1000)
        """Bins of the expected calibration error."""

    options: Options

    def limits(self, per_class: Mapping[Part, Sequence[int]]) -> dict[str, int]:
        """An image is not a neighbour of its own."""
        return {"neighbours": sum(per_class["test"]) - 1} if "test" in per_class else {}

    def run(self, work: Workspace) -> None:
        """Write ``metrics.json``.

        Metrics of the embeddings, scaled to length one: ``alignment`` (pairs of one class),
        ``uniformity``, ``uniformity_between`` (pairs of two classes), ``knn_accuracy`` in percent.

        Metrics beside the teacher: ``teacher_alignment`` (only where both embeddings have one
        dimension), ``teacher_cka`` of the embeddings as they are, ``teacher_neighbours``, the share
        of nearest neighbours that both have, and ``fidelity``, the share of equal predictions, in
        percent.

        ``ece`` is the expected calibration error in percent. An undefined metric is left out.

        Raises:
            UserError: there are too few test images for ``neighbours``.
        """
        options = self.options
        own, teacher = (predictions.read(work.inputs[name]) for name in ("network", "teacher"))
        labels = own.labels
        if options.neighbours >= len(labels):
            raise UserError(
                f"protocol 'representation': options.neighbours must be below the number of test "
                f"images, {len(labels)}, not {options.neighbours}"
            )
        points, taught = on_sphere(own.embedding), on_sphere(teacher.embedding)
        near, near_taught = (nearest(each, options.neighbours) for each in (points, taught))
        predicted, taught_classes = (each.logits.argmax(axis=1) for each in (own, teacher))
        metrics = {
            "alignment": class_alignment(points, labels),
            "uniformity": uniformity(points),
            "uniformity_between": uniformity(points, labels),
            "knn_accuracy": 100 * vote_accuracy(near, labels),
            "teacher_cka": linear_cka(own.embedding, teacher.embedding),
            "teacher_neighbours": 100 * overlap(near, near_taught),
            "fidelity": percent_equal(predicted, taught_classes),
            "ece": calibration_error(own.logits, labels, options.calibration_bins),
        }
        if points.shape == taught.shape:
            metrics["teacher_alignment"] = alignment(points, taught)
        work.write_json(METRICS, defined(metrics))


def on_sphere(embedding: np.ndarray) -> np.ndarray:
    """Return the rows of (N, D) scaled to length one, in double precision; zeros stay zeros."""
    from sklearn.preprocessing import normalize

    scaled: np.ndarray = normalize(embedding.astype(np.float64))
    return scaled


def alignment(points: np.ndarray, others: np.ndarray) -> float:
    """Return the mean squared distance of the rows of ``points`` and ``others``, both (N, D)."""
    return float(np.square(points - others).sum(axis=1).mean())


def class_alignment(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean squared distance over all pairs of points of one class.

    Args:
        points: (N, D).
        labels: (N,) integers.

    Returns:
        The mean; NaN if no class has two points.
    """
    total, pairs = 0.0, 0
    for label in np.unique(labels):
        members = points[labels == label]
        # The pairs' squared distances add up to n times those to the centre.
        total += len(members) * float(np.square(members - members.mean(axis=0)).sum())
        pairs += math.comb(len(members), 2)
    return total / pairs if pairs else math.nan


def uniformity(points: np.ndarray, labels: np.ndarray | None = None) -> float:
    """Return the logarithm of the mean of ``exp(-2 d^2)`` over pairs of points at distance d.

    Args:
        points: (N, D).
        labels: (N,) integers; only pairs of different labels count when given.

    Returns:
        The logarithm, 0 if all points are one, lower the more evenly they are spread; NaN if there
        are no pairs.
    """
    from sklearn.metrics.pairwise import euclidean_distances
    from sklearn.utils import gen_batches

    total, pairs = 0.0, 0
    for rows in gen_batches(len(points), _BLOCK):
        squared = euclidean_distances(points[rows], points[rows.start :], squared=True)
        counted = np.triu(np.ones(squared.shape, dtype=bool), k=1)
        if labels is not None:
            counted &= labels[rows, None] != labels[rows.start :]
        total += float(np.exp(-_SCALE * squared[counted]).sum())
        pairs += int(counted.sum())
    return math.log(total / pairs) if pairs else math.nan


def linear_cka(own: np.ndarray, teacher: np.ndarray) -> float:
    """Return the linear CKA of two embeddings of the same images.

    It takes products of features instead of Gram matrices of images: memory grows with the square
    of the dimensions, not of N.

    Args:
        own: (N, D).
        teacher: (N, E).

    Returns:
        A number in 0..1; NaN where an embedding is the same for all images.
    """
    x, y = _centred(own), _centred(teacher)
    norms = float(np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    return float(np.square(x.T @ y).sum()) / norms if norms else math.nan


def nearest(points: np.ndarray, count: int) -> np.ndarray:
    """Return which ``count`` other points are nearest to each: (N, count) rows, nearest first."""
    from sklearn.neighbors import NearestNeighbors

    # By brute force, which is the fastest in many dimensions; it takes the points in blocks.
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(points)
    found: np.ndarray = search.kneighbors(return_distance=False)
    return found


def vote_accuracy(near: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of points that most of their neighbours have the label of.

    Args:
        near: (N, k) neighbours of each point, without itself.
        labels: (N,) integers; the smallest one wins a tie.
    """
    from scipy.stats import mode

    votes: np.ndarray = mode(labels[near], axis=1).mode
    return float((votes == labels).mean())


def overlap(near: np.ndarray, others: np.ndarray) -> float:
    """Return the mean share of neighbours (N, k) that are in the same row of ``others`` (N, k)."""
    joined = np.sort(np.hstack([near, others]), axis=1)
    shared = np.count_nonzero(joined[:, 1:] == joined[:, :-1], axis=1)
    return float(shared.mean() / near.shape[1])


def _centred(features: np.ndarray) -> np.ndarray:
    # Beginning with the first row makes equal features exactly zero, which their mean need not be.
    shifted: np.ndarray = features.astype(np.float64) - features[:1]
    centred: np.ndarray = shifted - shifted.mean(axis=0)
    return centred
