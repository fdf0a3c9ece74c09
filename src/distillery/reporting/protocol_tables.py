"""Tables of what protocols measured: teachers and students down, metrics across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from distillery.reporting import files
from distillery.reporting.formatting import DASH, digits_for
from distillery.reporting.protocol_metrics import compared, means, measured
from distillery.reporting.results import TEACHER, Results, records
from distillery.reporting.table import Cell, Table, flat_header, mean_cell, runs_cell

# Columns that tell the networks of the comparison apart.
NETWORK = ["pair", "method", "title"]
# Axes of an ablation that its tables have columns for beside the settings.
OWN_COLUMNS = ("pair", "method")


def metrics_table(results: Results, entry: str, caption: str, columns: Mapping[str, str]) -> Table:
    """Return metrics of a protocol: teachers and students down, metrics across.

    Args:
        results: what the report is about.
        entry: id of the protocol's entry.
        caption: caption of the table.
        columns: metric -> heading; metrics that nothing was measured for are left out.
    """
    data = means(measured(compared(results), entry), NETWORK, columns)
    shown = [metric for metric in columns if metric in set(data["metric"])]
    digits = data.groupby("metric")["mean"].agg(digits_for)
    rows = []
    for _, network in data.groupby(NETWORK, sort=False):
        cells = {row.metric: mean_cell(row, digits[row.metric]) for row in records(network)}
        rows.append(
            (
                *name_cells(results, *network[NETWORK].iloc[0]),
                *(cells.get(metric, Cell(DASH)) for metric in shown),
                runs_cell(" ".join(network["runs"])),
            )
        )
    return Table(
        name=files.section(entry),
        caption=caption,
        header=flat_header(("Pair", "Method", *(columns[name] for name in shown), "Runs")),
        rows=tuple(rows),
        data=data,
        labels=2,
        references=count_teachers(data),
    )


def name_cells(results: Results, pair: str, method: str, title: str) -> tuple[Cell, Cell]:
    """Return the cells that name a network: its pair and method, or the teacher."""
    if method == TEACHER:
        return Cell(DASH), Cell(f"Teacher {title}")
    return Cell(str(results.pairs.get(pair, pair))), Cell(results.labels.get(method, title))


def count_teachers(data: pd.DataFrame) -> int:
    """Return how many of the networks in these rows are teachers."""
    return len(data.loc[data["method"] == TEACHER, NETWORK].drop_duplicates())
