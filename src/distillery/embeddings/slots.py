"""The Parquet format of a teacher cache: one file a slot.

Columns: ``index`` (int32, place in the canonical training part), ``crop_top``, ``crop_left``
(int16, pixels) and ``flip`` (bool) of the view, ``logits`` and ``embedding`` (fixed-size lists of
float16 or float32). The file's metadata names the teacher's and the data's runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distillery.data.augmentation import CropFlip


def slot_name(number: int) -> str:
    """Return the file name of a slot."""
    return f"slot-{number:04d}.parquet"


def write_slot(
    path: Path,
    index: np.ndarray,
    crop: CropFlip,
    logits: np.ndarray,
    embedding: np.ndarray,
    metadata: dict[str, str],
) -> None:
    """Write one slot so that the file appears complete or not at all.

    Args:
        path: where to write.
        index: (N,) images.
        crop: their views.
        logits: (N, C) in the precision to store.
        embedding: (N, D) in the precision to store.
        metadata: what the file should say of its origin.
    """
    table = pa.table(
        {
            "index": pa.array(index.astype(np.int32)),
            "crop_top": pa.array(crop.top.numpy().astype(np.int16)),
            "crop_left": pa.array(crop.left.numpy().astype(np.int16)),
            "flip": pa.array(crop.flip.numpy().astype(bool)),
            "logits": _lists(logits),
            "embedding": _lists(embedding),
        }
    ).replace_schema_metadata(metadata)
    temporary = path.with_suffix(".tmp")
    pq.write_table(
        table,
        temporary,
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
        row_group_size=len(index),
    )
    temporary.replace(path)


def _lists(matrix: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
