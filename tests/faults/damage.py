"""Ways in which a file on disk gets damaged, each with its name; they return the new content."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq


def flip(content: bytes, draw: Random) -> bytes:
    bit = draw.randrange(8 * len(content))
    return content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]


def cut(content: bytes, draw: Random) -> bytes:
    return content[: draw.randrange(len(content))]


def zero_tail(content: bytes, draw: Random) -> bytes:
    """As after a power cut, when a file has its length and not its last blocks."""
    kept = draw.randrange(len(content))
    return content[:kept] + bytes(len(content) - kept)


def lose_a_column(content: bytes, draw: Random) -> bytes:
    table = pq.read_table(io.BytesIO(content))
    return _parquet(table.drop_columns([draw.choice(table.column_names)]))


def lose_a_row(content: bytes, draw: Random) -> bytes:
    return _parquet(pq.read_table(io.BytesIO(content)).slice(1))


def double_a_row(content: bytes, draw: Random) -> bytes:
    table = pq.read_table(io.BytesIO(content))
    return _parquet(pa.concat_tables([table, table.slice(0, 1)]))


ANY = {"flipped bit": flip, "cut off": cut, "zeroed tail": zero_tail}
TABLES = {
    "missing column": lose_a_column,
    "too few rows": lose_a_row,
    "too many rows": double_a_row,
}


def replace(file: Path, content: bytes) -> None:
    """Write a file anew: its old content may have other names, which keep it."""
    file.unlink()
    file.write_bytes(content)


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
