"""Columns of Parquet files, and matrices in them: a column of lists, a row of the matrix each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distillery.core.errors import DamagedArtifact


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """Return columns of a Parquet file, whose pages are held against their checksums.

    Raises:
        DamagedArtifact: it is no such file, or lacks one of them.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            require_columns(path, file.schema_arrow.names, columns)
            return file.read(columns=[*columns])
    except (pa.ArrowException, OSError) as error:
        why = " ".join(str(error).split())
        raise DamagedArtifact(f"{path}: cannot be read as Parquet ({why})") from None


def require_columns(path: Path, found: Iterable[str], columns: Iterable[str]) -> None:
    """Demand that a file has these columns.

    Raises:
        DamagedArtifact: it lacks one of them.
    """
    missing = [name for name in columns if name not in set(found)]
    if missing:
        raise DamagedArtifact(f"{path}: lacks the column {', '.join(missing)}")


def as_column(matrix: np.ndarray) -> pa.FixedSizeListArray:
    """Return a matrix (N, D) of any floating type as a column of N lists."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def as_matrix(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return a column of N lists of D numbers as a matrix (N, D), which cannot be written to."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values: np.ndarray = whole.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)
