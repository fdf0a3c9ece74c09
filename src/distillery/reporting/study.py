"""What studies have in common: accuracy of every method over one number that is varied."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from distillery.reporting import files, statistics
from distillery.reporting.drawing import (
    ACCURACY,
    Drawing,
    Style,
    add_legend,
    blank,
    legend_key,
    name_axes,
)
from distillery.reporting.formatting import DASH
from distillery.reporting.pair_panels import MOST_BARS, pair_panels
from distillery.reporting.protocol_metrics import pairs_of
from distillery.reporting.results import LAST, Results, records
from distillery.reporting.table import Cell, Table, mean_cell, runs_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Axis:
    """What a study varies.

    Attributes:
        setting: its dotted name in the variants of runs.
        name: what the axis of the figure says.
        write: how one of its values is written.
    """

    setting: str
    name: str
    write: Callable[[float], str]


def table(results: Results, entry: str, axis: Axis, caption: str) -> Table:
    """Return accuracy: pairs and methods down, values across."""
    runs = _runs(results, entry, axis)
    points = _points(results, runs)
    values = sorted(points["value"].unique())
    best = points.groupby(["pair", "value"])["mean"].transform(statistics.are_best)
    rows = []
    for _, of_method in points.groupby(["pair", "method"], sort=False):
        pair, method = of_method[["pair", "method"]].iloc[0]
        cells = {row.value: mean_cell(row, strong=best[row.Index]) for row in records(of_method)}
        rows.append(
            (
                Cell(str(results.pairs[pair])),
                Cell(results.labels[method]),
                *(cells.get(value, Cell(DASH)) for value in values),
                runs_cell(" ".join(of_method["runs"])),
            )
        )
    columns = [(axis.name, axis.write(value)) for value in values]
    return Table(
        name=files.section(entry),
        caption=f"{caption} Mean ± standard deviation over seeds; the best method of each pair and "
        "column is bold.",
        header=(("", "Pair"), ("", "Method"), *columns, ("", "Runs")),
        rows=tuple(rows),
        data=points.rename(columns={"value": axis.setting}),
        labels=2,
    )


def figure(
    results: Results, entry: str, axis: Axis, caption: str, looks: Mapping[str, Style]
) -> Drawing:
    """Draw accuracy over the values, a panel for each pair and a line for each method."""
    runs = _runs(results, entry, axis)
    points = _points(results, runs)
    name, methods = files.section(entry), list(points["method"].unique())
    has_bars = len(methods) <= MOST_BARS
    spread = "Mean and standard deviation over seeds." if has_bars else "Mean over seeds."
    caption = f"{caption} {spread}"
    if points.empty:
        return Drawing(name, caption, blank("There are no results."))
    sheet, grid = pair_panels(results, pairs_of(results, points), (4.2, 2.6), (2.4, 2.1))
    for pair, panel in grid.items():
        of_pair = points[points["pair"] == pair]
        for method, of_method in of_pair.groupby("method", sort=False):
            _draw_line(panel, of_method, looks[str(method)], has_bars=has_bars)
        values = sorted(of_pair["value"].unique())
        panel.set_xticks(values, [axis.write(value) for value in values])
    name_axes([*grid.values()], axis.name, ACCURACY)
    handles = []
    for method in methods:
        look = looks[method]
        handles.append(
            legend_key(results.labels[method], color=look.colour, ls=look.dash, marker=look.marker)
        )
    add_legend(sheet, handles)
    return Drawing(name, caption, sheet)


def _runs(results: Results, entry: str, axis: Axis) -> pd.DataFrame:
    """Return what the study trained, with the ``value`` of the axis."""
    runs = results.runs[results.runs["table"] == entry]
    values = [float(json.loads(variant)[axis.setting]) for variant in runs["variant"]]
    return runs.assign(value=values)


def _points(results: Results, runs: pd.DataFrame) -> pd.DataFrame:
    """Return n, mean, std and runs by pair, method and value, in the order of the report."""
    points = statistics.over_runs(runs, ["pair", "method", "value"], LAST)
    order = {
        "pair": {pair: place for place, pair in enumerate(results.pairs)},
        "method": {method: place for place, method in enumerate(results.labels)},
    }
    return points.sort_values(
        ["pair", "method", "value"],
        key=lambda column: column.map(order[column.name]) if column.name in order else column,
        kind="stable",
        ignore_index=True,
    )


def _draw_line(panel: Axes, points: pd.DataFrame, look: Style, *, has_bars: bool) -> None:
    panel.errorbar(
        points["value"],
        points["mean"],
        yerr=points["std"] if has_bars else None,
        color=look.colour,
        ls=look.dash,
        marker=look.marker,
        lw=1,
        capsize=2,
    )
