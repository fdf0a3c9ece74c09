"""Columns of tables: a heading, and the function that makes a group of statistics into a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from distillery.reporting import formatting
from distillery.reporting.formatting import DASH, digits_for, variant_text
from distillery.reporting.results.collected import TEACHER, Results
from distillery.reporting.tables import cells
from distillery.reporting.tables.model import Cell

Heading = str | tuple[str, ...]
# Axes of an ablation that tables have columns for beside the settings.
OWN_COLUMNS = ("pair", "method")


class Group(NamedTuple):
    """What a row of a table is about.

    Attributes:
        names: a row of the data, whose columns the whole group shares.
        statistics: metric -> row of the data with its ``mean``, ``std`` and ``runs``.
        runs: keys of the runs that the group comes from, a space between them.
    """

    names: Any
    statistics: Mapping[Any, Any]
    runs: str


class Column(NamedTuple):
    """A column of a table: its heading (from the top), its cells, and whether it names the row."""

    heading: Heading
    cell: Callable[[Group], Cell]
    is_label: bool = False


def label(heading: Heading, text: Callable[[Any], str]) -> Column:
    """Return a column that names rows: ``text`` writes what the names of a group say."""
    return Column(heading, lambda group: Cell(text(group.names)), is_label=True)


def number(
    heading: Heading, attribute: str, write: Callable[[float], str], unit: float = 1
) -> Column:
    """Return a column of numbers that stand in the data as they are, shown in this unit."""
    return Column(
        heading,
        lambda group: cells.number(getattr(group.names, attribute) / unit, group.runs, write),
    )


def interval(heading: Heading, low: str, high: str, *, sign: bool = False) -> Column:
    """Return a column of intervals, whose ends are the attributes ``low`` and ``high``."""

    def cell(group: Group) -> Cell:
        ends = (getattr(group.names, low), getattr(group.names, high))
        return Cell(
            formatting.interval(*ends, sign=sign), sum(ends) / 2, runs=cells.keys(group.runs)
        )

    return Column(heading, cell)


def statistic(heading: Heading, metric: Any, cell: Callable[[Any], Cell]) -> Column:
    """Return a column of a metric: ``cell`` makes its row of statistics into a cell."""

    def of_group(group: Group) -> Cell:
        found = group.statistics.get(metric)
        return Cell(DASH) if found is None else cell(found)

    return Column(heading, of_group)


def metrics(
    data: pd.DataFrame, headings: Mapping[str, Heading], across: str = "metric"
) -> list[Column]:
    """Return columns of means; all cells of one have the decimals that its largest needs."""
    digits = data.groupby(across)["mean"].agg(digits_for)
    return [
        statistic(heading, metric, partial(cells.mean, digits=digits.get(metric)))
        for metric, heading in headings.items()
    ]


def names(results: Results) -> list[Column]:
    """Return the columns that name a network: its pair and method, or the teacher."""

    def pair(row: Any) -> str:
        return DASH if row.method == TEACHER else str(results.pairs[row.pair])

    def method(row: Any) -> str:
        return f"Teacher {row.title}" if row.method == TEACHER else results.labels[row.method]

    return [label("Pair", pair), label("Method", method)]


def setting(missing: str = "") -> Column:
    """Return the column of the settings of a variant; ``missing`` stands where it has none."""
    return label("Setting", lambda row: variant_text(row.variant, leave_out=OWN_COLUMNS) or missing)


def device() -> Column:
    """Return the column of the device that a group was measured on."""
    return label("Device", lambda row: DASH if pd.isna(row.device) else row.device)


def runs() -> Column:
    """Return the column that says how many runs a row comes from, and which."""

    def cell(group: Group) -> Cell:
        keys = cells.keys(group.runs)
        return Cell(str(len(keys)), len(keys), runs=keys, lists_runs=True)

    return Column("Runs", cell)
