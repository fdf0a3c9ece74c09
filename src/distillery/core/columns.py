"""Matrices in Parquet files: a column of lists of one length, a row of the matrix each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def as_column(matrix: np.ndarray) -> pa.FixedSizeListArray:
    """Return a matrix (N, D) of any floating type as a column of N lists."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def as_matrix(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return a column of N lists of D numbers as a matrix (N, D), which cannot be written to."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values: np.ndarray = whole.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)
