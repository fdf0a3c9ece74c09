"""A map of test images by t-SNE (van der Maaten and Hinton 2008), with numbers beside it.

A map may show clusters that are none and hide others. Hence the silhouette and the accuracy of the
nearest neighbours, among the features themselves and on the map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from distillery.core.errors import UnknownName, UserError
from distillery.core.randomness import seed_for
from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo, Part
from distillery.evaluation.base import METRICS, Protocol, write_details
from distillery.evaluation.representation import nearest, on_sphere, vote_accuracy
from distillery.models import predictions
from distillery.models.predictions import Predictions

if TYPE_CHECKING:
    from distillery.evaluation.context import PlanContext
    from distillery.runs.produce import Workspace


class TSNE(Protocol):
    """A map of test images."""

    title = "t-SNE"

    class Options(FrozenModel):
        """Options of the protocol."""

        classes: Annotated[int, Field(ge=2)] | Annotated[tuple[str, ...], Field(min_length=2)] = 10
        """How many classes are shown, the first ones that have test images; or the names of some. A
        data set of fewer classes is shown as a whole."""
        images: int = Field(default=100, ge=2)
        """Images of each class: the first ones of the test set, the same for all networks."""
        space: Literal["embedding", "logits"] = "embedding"
        """What is shown: the input of the classifier or its output."""
        normalise: bool = False
        """Whether features are scaled to length one first, as contrastive methods compare them."""
        joint: bool = False
        """Whether the network and its teacher share one map. Their features need one dimension,
        which logits always have."""
        perplexity: float = Field(default=30, ge=1)
        """Effective number of neighbours of t-SNE; there must be more images than that."""
        neighbours: int = Field(default=10, ge=1)
        """Nearest neighbours that vote for the class of an image; likewise."""
        start: Literal["pca", "random"] = "pca"
        """Where t-SNE begins: with the principal components, or with random coordinates."""
        seed: int = Field(default=0, ge=0)
        """Seed of t-SNE, which decides little where it begins with the principal components."""

    options: Options

    def limits(self, per_class: Mapping[Part, Sequence[int]]) -> dict[str, int]:
        """Both ask for neighbours among the other images of the map."""
        classes = self.options.classes
        if "test" not in per_class or not isinstance(classes, int):
            return {}
        shown = [count for count in per_class["test"] if count][:classes]
        others = sum(min(count, self.options.images) for count in shown) - 1
        return {"perplexity": others, "neighbours": others}

    def check(self, context: PlanContext) -> None:
        """Check that a joint map has features of one dimension.

        Raises:
            UserError: network and teacher have embeddings of two dimensions.
        """
        options = self.options
        dimensions = context.network.embedding_dim, context.teacher.embedding_dim
        if options.joint and options.space == "embedding" and dimensions[0] != dimensions[1]:
            raise UserError(
                "options.joint needs features of one dimension, but the network has "
                f"{dimensions[0]} and its teacher {dimensions[1]} (options.space: logits always "
                "fits)"
            )

    def run(self, work: Workspace) -> None:
        """Write ``metrics.json`` and ``details.parquet``.

        Metrics: ``silhouette`` in -1..1 and ``knn_accuracy`` in percent (each image by the other
        ones) of the features, and ``silhouette_map`` and ``knn_accuracy_map`` of their coordinates
        on the map. A student on a joint map also has ``teacher_knn_accuracy``: its features
        classified by the teacher's.

        Details: ``network`` ("own" or, on a joint map, "teacher"), ``image`` (its row in the test
        set), ``label``, ``class``, ``x``, ``y``.
        """
        options = self.options
        names = DataSetInfo.load(work.inputs["prepared"]).classes
        own = predictions.read(work.inputs["network"])
        images = choose(own.labels, names, options)
        labels = own.labels[images]
        features = _features(own, images, options)
        joined = {"own": features}
        # A teacher's own map has nothing to be joined with.
        if options.joint and work.inputs["network"].key != work.inputs["teacher"].key:
            joined["teacher"] = _features(predictions.read(work.inputs["teacher"]), images, options)
        maps = _map(joined, options)
        metrics = _separation(features, labels, options.neighbours)
        on_map = _separation(maps["own"], labels, options.neighbours)
        metrics |= {f"{name}_map": value for name, value in on_map.items()}
        if "teacher" in joined:
            metrics["teacher_knn_accuracy"] = 100 * classified_by(
                features, joined["teacher"], labels, options.neighbours
            )
        work.write_json(METRICS, metrics)
        table = pa.concat_tables(
            _rows(network, points, images, labels, names) for network, points in maps.items()
        )
        write_details(work, table)


def choose(labels: np.ndarray, names: tuple[str, ...], options: TSNE.Options) -> np.ndarray:
    """Return the rows (n,) of the images to show in the test set, increasing.

    Args:
        labels: (N,) integers, of all test images.
        names: names of the classes by label.
        options: those of the protocol.

    Raises:
        UserError: a class is unknown or has no images, or there are too few images in all.
    """
    counts = np.bincount(labels, minlength=len(names))
    if isinstance(options.classes, int):
        classes = np.flatnonzero(counts)[: options.classes].tolist()
    else:
        classes = [_label(name, names) for name in dict.fromkeys(options.classes)]
        for label in classes:
            if not counts[label]:
                raise UserError(
                    f"protocol 'tsne': options.classes: no test image is of class '{names[label]}'"
                )
    chosen = [np.flatnonzero(labels == label)[: options.images] for label in classes]
    images = np.sort(np.concatenate(chosen))
    # The silhouette needs two classes, and one of them with two images.
    least = max(options.perplexity, options.neighbours, len(classes))
    if len(images) <= least or len(classes) < 2:
        raise UserError(
            "protocol 'tsne': needs test images of two classes and more of them than "
            f"options.perplexity, options.neighbours and classes, {least:g}, but there are "
            f"{len(images)} of {len(classes)}"
        )
    return images


def embed(points: np.ndarray, options: TSNE.Options) -> np.ndarray:
    """Return a map of points (N, D): their coordinates (N, 2) float32, zeros if all are equal."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if not np.ptp(points, axis=0).any():
        return np.zeros((len(points), 2), dtype=np.float32)
    state = seed_for(options.seed, "tsne") % 2**32
    tsne = TSNE(perplexity=options.perplexity, init=options.start, random_state=state)
    # Sums depend on the number of threads in their last digits, and maps on these digits.
    with threadpool_limits(limits=1):
        coordinates: np.ndarray = tsne.fit_transform(points)
    return coordinates


def classified_by(
    points: np.ndarray, known: np.ndarray, labels: np.ndarray, neighbours: int
) -> float:
    """Return the share of points (N, D) whose nearest ones of ``known`` (N, D) vote rightly."""
    from sklearn.neighbors import KNeighborsClassifier

    voters = KNeighborsClassifier(n_neighbors=neighbours, algorithm="brute").fit(known, labels)
    return float(voters.score(points, labels))


def _label(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise UnknownName("class", name, names)
    return names.index(name)


def _features(told: Predictions, images: np.ndarray, options: TSNE.Options) -> np.ndarray:
    features = (told.embedding if options.space == "embedding" else told.logits)[images]
    return on_sphere(features) if options.normalise else features.astype(np.float64)


def _map(joined: dict[str, np.ndarray], options: TSNE.Options) -> dict[str, np.ndarray]:
    """Return the coordinates of the features of one network, or of two on one map."""
    coordinates = embed(np.vstack([*joined.values()]), options)
    return dict(zip(joined, np.split(coordinates, len(joined)), strict=True))


def _separation(points: np.ndarray, labels: np.ndarray, neighbours: int) -> dict[str, float]:
    """Return how well the classes of points (N, D) are apart."""
    from sklearn.metrics import silhouette_score

    return {
        "silhouette": float(silhouette_score(points, labels)),
        "knn_accuracy": 100 * vote_accuracy(nearest(points, neighbours), labels),
    }


def _rows(
    network: str, points: np.ndarray, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> pa.Table:
    columns = {
        "network": [network] * len(images),
        "image": images,
        "label": labels,
        "class": [names[label] for label in labels],
        "x": points[:, 0],
        "y": points[:, 1],
    }
    return pa.table(columns)
