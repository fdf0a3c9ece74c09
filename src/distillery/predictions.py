"""What a finished network says of the test set, kept beside its weights.

Protocols that need no more than these logits run without the network, and without torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from distillery.artifacts import Artifact

_FILE = "test.parquet"


class Predictions(NamedTuple):
    """Logits of the unaugmented test images.

    Attributes:
        labels: (N,) int64.
        logits: (N, C) float32.
    """

    labels: np.ndarray
    logits: np.ndarray


def write(folder: Path, predictions: Predictions) -> None:
    """Write predictions into a run directory, in the order of the test set."""
    labels, logits = predictions
    rows = pa.FixedSizeListArray.from_arrays(pa.array(logits.reshape(-1)), logits.shape[1])
    table = pa.table({"label": pa.array(labels), "logits": rows})
    pq.write_table(table, folder / _FILE, compression="zstd", write_page_checksum=True)


def read(trained: Artifact) -> Predictions:
    """Read the predictions of a trained or imported network."""
    table = pq.read_table(trained.file(_FILE))
    values = table["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return Predictions(table["label"].to_numpy(), values.reshape(len(table), -1))
