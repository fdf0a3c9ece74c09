"""What is kept of a training run beside its weights: its history, its metrics, its diagnostics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from distillery.training.checkpoint import TrainingState


def history_table(state: TrainingState) -> pa.Table:
    """Return one row for each epoch of each phase."""
    # Epochs without a measurement have no accuracy: a row has every column of every phase.
    columns = list(dict.fromkeys(name for row in state.history for name in row))
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in columns} for row in state.history]
    )


def diagnostics_table(state: TrainingState) -> pa.Table:
    """Return what the method logged, an entry a row.

    Columns: ``epoch`` (of the distillation proper, from 1), ``name``, ``row`` and ``column`` of the
    entry (-1 where a scalar or a vector has none), ``value``.
    """
    rows = []
    for past, diagnosed in zip(state.history, state.diagnostics, strict=True):
        for name, values in diagnosed.items():
            for index in np.ndindex(*values.shape):
                row, column = (*index, -1, -1)[:2]
                entry = {"epoch": past["epoch"], "name": name, "row": row, "column": column}
                rows.append({**entry, "value": values[index].item()})
    return pa.Table.from_pylist(rows)


def summarise(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the metrics of the last epoch, and beside them the best epoch on the test set."""
    measured = [row for row in history if "test_top1" in row]
    last, best = measured[-1], max(measured, key=lambda row: row["test_top1"])
    return {
        **{name: last[name] for name in last if name.endswith("_top1") or name == "loss"},
        "epochs": last["epoch"],
        "best_test_top1": best["test_top1"],
        "best_epoch": best["epoch"],
    }
