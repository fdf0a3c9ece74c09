"""Comparing the files of a run with those of its twin that other code computed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from distillery.runs.artifact import Artifact
from distillery.runs.provenance import give_same_bits

_METRICS = "metrics.json"


def difference(old: Artifact, new: Artifact, tolerance: float = 0.0) -> str | None:
    """Say in what two runs differ that should be the same.

    On machines that give the same bits every file has to agree; what a table says of its origin
    does not count. On others the numbers of ``metrics.json`` have to, and of runs without metrics
    those of all tables, up to ``tolerance`` times the largest of their column.

    Returns:
        File and both values; None if the runs agree.
    """
    exact = give_same_bits(old.manifest["record"], new.manifest["record"])
    names = sorted({*old.files, *new.files}, key=lambda name: (name != _METRICS, name))
    if not exact and _METRICS in old.files:
        names = [_METRICS]
    for name in names:
        found = _difference_of_file(name, old, new, 0.0 if exact else tolerance)
        if found:
            return f"{name}: {found}"
    return None


def _difference_of_file(name: str, old: Artifact, new: Artifact, tolerance: float) -> str | None:
    sums = [artifact.manifest["files"].get(name, {}).get("sha256") for artifact in (old, new)]
    if sums[0] == sums[1]:
        return None
    if None in sums:
        return "is missing" if sums[1] is None else "is new"
    before, after = (_values(each.file(name)) for each in (old, new))
    if before is None or after is None:
        return f"its sha256 is {sums[1]} and was {sums[0]}"
    for key in {**before, **after}:
        found = _first_difference(before.get(key), after.get(key), tolerance)
        if found:
            return f"{key} is {found[1]} and was {found[0]}"
    return None


def _first_difference(
    before: np.ndarray | None, after: np.ndarray | None, tolerance: float
) -> tuple[Any, Any] | None:
    """Return the first two values that differ of arrays (N,)."""
    if before is None or after is None or len(before) != len(after):
        lengths = (
            "missing" if each is None else f"of length {len(each)}" for each in (before, after)
        )
        return next(lengths), next(lengths)
    differs = before != after
    if before.dtype.kind == after.dtype.kind == "f":
        differs &= ~(np.isnan(before) & np.isnan(after))
        differs &= ~(np.abs(after - before) <= tolerance * np.nanmax(np.abs(before), initial=0))
    rows = np.flatnonzero(differs)
    return (before[rows[0]], after[rows[0]]) if len(rows) else None


def _values(path: Path) -> dict[str, np.ndarray] | None:
    """Return the values (N,) of every column of a table, or of every leaf of a JSON file."""
    if path.suffix == ".json":
        leaves = _leaves(json.loads(path.read_text(encoding="utf-8")))
        return {name: np.array([value]) for name, value in leaves}
    if path.suffix == ".parquet":
        return _columns(pq.read_table(path))
    return _columns(csv.read_csv(path)) if path.suffix == ".csv" else None


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping | list):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in parts:
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _columns(table: pa.Table) -> dict[str, np.ndarray]:
    return {name: _flat(table[name].combine_chunks()) for name in table.column_names}


def _flat(column: pa.Array) -> np.ndarray:
    while pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        column = column.flatten()
    return np.asarray(column.to_numpy(zero_copy_only=False))
