"""What a finished network says of the test set, kept beside its weights.

Protocols that need no more than its logits and embeddings run without the network and torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distillery.core.columns import as_column, as_matrix, read_columns
from distillery.core.errors import DamagedArtifact

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

_FILE = "test.parquet"


class Predictions(NamedTuple):
    """What a network says of the unaugmented test images.

    Attributes:
        labels: (N,) int64.
        logits: (N, C) float32.
        embedding: (N, D) float32, the input of the classifier.
    """

    labels: np.ndarray
    logits: np.ndarray
    embedding: np.ndarray

    @property
    def top1(self) -> float:
        """Accuracy in percent."""
        return 100 * float((self.logits.argmax(axis=1) == self.labels).mean())

    @property
    def chance(self) -> float:
        """Accuracy in percent of always naming the most frequent class."""
        return 100 * float(np.bincount(self.labels).max() / len(self.labels))


def write(folder: Path, predictions: Predictions) -> None:
    """Write predictions into a run directory, in the order of the test set."""
    labels, logits, embedding = predictions
    table = pa.table(
        {
            "label": pa.array(labels),
            "logits": as_column(logits),
            "embedding": as_column(embedding),
        }
    )
    pq.write_table(table, folder / _FILE, compression="zstd", write_page_checksum=True)


def read(trained: Artifact) -> Predictions:
    """Read the predictions of a trained or imported network.

    Raises:
        DamagedArtifact: they are not finite, as no stage writes them.
    """
    path = trained.file(_FILE)
    table = read_columns(path, ("label", "logits", "embedding"))
    found = Predictions(
        table["label"].to_numpy(), as_matrix(table["logits"]), as_matrix(table["embedding"])
    )
    if not np.isfinite(found.logits).all() or not np.isfinite(found.embedding).all():
        raise DamagedArtifact(f"{path}: holds values that are not finite; make the run again")
    return found
