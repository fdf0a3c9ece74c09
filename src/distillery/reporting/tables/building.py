"""Builds tables from statistics: a row for each group of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from distillery.reporting import files
from distillery.reporting.results.collected import TEACHER, Results, records
from distillery.reporting.results.protocols import compared, means, measured
from distillery.reporting.tables import columns
from distillery.reporting.tables.columns import Column, Group
from distillery.reporting.tables.model import Table

# Columns that tell the networks of the comparison apart.
NETWORK = ["pair", "method", "title"]


def groups(data: pd.DataFrame, by: Iterable[str], across: str = "metric") -> list[Group]:
    """Return the groups of data in long form, in the order of their first rows.

    Args:
        data: statistics with ``runs``, as ``statistics.seeds.over_runs`` returns them.
        by: columns that tell the groups apart.
        across: column that tells the statistics of a group apart.
    """
    return [
        Group(
            names=next(records(rows)),
            statistics={getattr(row, across): row for row in records(rows)},
            runs=" ".join(rows["runs"]),
        )
        for _, rows in data.groupby(list(by), sort=False, dropna=False)
    ]


def each(data: pd.DataFrame) -> list[Group]:
    """Return a group for each row of data, with its ``runs`` if it has any."""
    return [Group(row, {}, getattr(row, "runs", "")) for row in records(data)]


def build(
    name: str,
    caption: str,
    shown: Iterable[Column],
    rows: Iterable[Group],
    data: pd.DataFrame,
    *,
    references: int = 0,
    joint: str = " ",
    notes: Sequence[str] = (),
    with_runs: bool = True,
) -> Table:
    """Return a table.

    Args:
        name: name of its files.
        caption: what it shows.
        shown: its columns, labels first; the last, with the runs, is added ``with_runs``.
        rows: what its rows are about.
        data: the numbers behind it.
        references: see ``Table``.
        joint: see ``Table``.
        notes: see ``Table``.
        with_runs: whether each row lists its runs.
    """
    known = [*shown, *([columns.runs()] if with_runs else [])]
    headings = [
        (column.heading,) if isinstance(column.heading, str) else column.heading for column in known
    ]
    depth = max(map(len, headings))
    return Table(
        name=name,
        caption=caption,
        header=tuple(("",) * (depth - len(heading)) + heading for heading in headings),
        rows=tuple(tuple(column.cell(group) for column in known) for group in rows),
        data=data,
        labels=sum(column.is_label for column in known),
        references=references,
        joint=joint,
        notes=tuple(notes),
    )


def metrics_table(results: Results, entry: str, caption: str, metrics: Mapping[str, str]) -> Table:
    """Return metrics of a protocol: teachers and students down, metrics across.

    Args:
        results: what the report is about.
        entry: id of the protocol's entry.
        caption: caption of the table.
        metrics: metric -> heading; metrics that nothing was measured for are left out.
    """
    data = means(measured(compared(results), entry), NETWORK, metrics)
    known = set(data["metric"])
    headings = {metric: heading for metric, heading in metrics.items() if metric in known}
    return build(
        files.section(entry),
        caption,
        [*columns.names(results), *columns.metrics(data, headings)],
        groups(data, NETWORK),
        data,
        references=count_teachers(data),
    )


def count_teachers(data: pd.DataFrame) -> int:
    """Return how many of the networks in these rows are teachers."""
    return len(data.loc[data["method"] == TEACHER, NETWORK].drop_duplicates())
