"""Section of AECRD: what its synthetic points are like, for every row and variant that has any."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from distillery.methods.parts import synthetic_log as log
from distillery.reporting import diagnostics, files, sphere_figure, statistics
from distillery.reporting.drawing import (
    Drawing,
    Style,
    add_legend,
    blank,
    legend_key,
    name_axes,
    panels,
    styles,
)
from distillery.reporting.formatting import DASH, digits_for, variant_text
from distillery.reporting.protocol_tables import NETWORK, OWN_COLUMNS, name_cells
from distillery.reporting.results import Results, records
from distillery.reporting.table import Cell, Table, flat_header, mean_cell, runs_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "Synthetic points"
TABLES = ("",)
FIGURES = ("", "epochs", "sphere")

LEAVES, STAYS = "leave the plane", "stay in the plane"
# In degrees; rounding in single precision stays far below it.
_IN_PLANE = 0.01
_COMPARISON = "main"
_MEASURES = {
    log.PAIR_ANGLE: "Pair angle (°)",
    log.OUT_OF_PLANE: "Out of plane (°)",
    log.TOP_K_SHARE: "Among the hardest (%)",
    log.FALSE_NEGATIVES: "False negatives (%)",
    log.ALIGNMENT: "Alignment",
    log.STUDENT_UNIFORMITY: "Uniformity, student",
    log.TEACHER_UNIFORMITY: "Uniformity, teacher",
}
_PERCENT = (log.TOP_K_SHARE, log.FALSE_NEGATIVES)
_HISTOGRAMS = {log.REAL_HARDNESS: "real negatives", log.SYNTHETIC_HARDNESS: "synthetic negatives"}
_ROW = ["table", "pair", "method", "title", "variant"]
# A figure with more panels does not fit on a page, and more lines hide each other.
_MOST_PANELS = 15
_MOST_LINES = 10


def tables(results: Results, entry: str) -> list[Table]:
    """Return the figures of the last epoch, a row for each method or variant that logged them."""
    logged = diagnostics.last_epoch(_logged(results, _MEASURES))
    data = statistics.over_runs(logged, [*_ROW, "name"], "value")
    digits = data.groupby("name")["mean"].agg(digits_for)
    rows = []
    for _, row in data.groupby(_ROW, sort=False):
        first = row.iloc[0]
        cells = {figure.name: mean_cell(figure, digits[figure.name]) for figure in records(row)}
        angles = row.loc[row["name"] == log.OUT_OF_PLANE, "mean"]
        rows.append(
            (
                Cell(_table_title(results, first["table"])),
                *name_cells(results, *row[NETWORK].iloc[0]),
                Cell(variant_text(first["variant"], leave_out=OWN_COLUMNS) or DASH),
                Cell(in_words(angles)),
                *(cells.get(measure, Cell(DASH)) for measure in _MEASURES),
                runs_cell(" ".join(row["runs"])),
            )
        )
    header = ("Table", "Pair", "Method", "Setting", "Curves", *_MEASURES.values(), "Runs")
    return [
        Table(
            name=files.section(entry),
            caption=(
                "Synthetic points in the last epoch: the angle of the pairs that they are made "
                "between; how far curves leave the plane of their pair, without which all "
                f"interpolations are one great circle (they do from {_IN_PLANE}° on); the share of "
                "places among an anchor’s hardest negatives that synthetic ones take; and the "
                "share of synthetic negatives whose nearest real point has the anchor’s class. "
                "Alignment and uniformity are those of the projections. Mean ± standard deviation "
                "over seeds."
            ),
            header=flat_header(header),
            rows=tuple(rows),
            data=data,
            labels=5,
        )
    ]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield hardness histograms by strategy, the figures over the epochs, and the strategies."""
    yield _histograms(results, files.section(entry))
    yield _epochs(results, files.section(entry, "epochs"))
    yield sphere_figure.draw(files.section(entry, "sphere"))


def in_words(angles: Sequence[float] | pd.Series) -> str:
    """Say whether curves leave the plane of their pairs, from the mean angles of a row."""
    known = [angle for angle in angles if not np.isnan(angle)]
    if not known:
        return DASH
    return LEAVES if max(known) > _IN_PLANE else STAYS


def _logged(results: Results, names: Mapping[str, str]) -> pd.DataFrame:
    """Return what all runs logged under these names, with the row of the report they are in."""
    logged = diagnostics.logged(results, results.runs[[*_ROW, "key", "run"]], names)
    factor = np.where(logged["name"].isin(_PERCENT), 100, 1)
    return logged.assign(value=logged["value"] * factor)


def _shown(logged: pd.DataFrame) -> pd.DataFrame:
    """Return what the figures show: the first pair of every table, and the same runs only once."""
    first = logged["pair"] == logged.groupby("table")["pair"].transform("first")
    rows = logged.loc[first, [*_ROW, "run"]].drop_duplicates()
    runs = rows.groupby(_ROW, sort=False)["run"].agg(tuple).drop_duplicates().reset_index()
    return logged.merge(runs[_ROW], on=_ROW)


def _labelled(results: Results, logged: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of the report by what figures call them."""
    found: dict[str, pd.DataFrame] = {}
    for _, rows in logged.groupby(_ROW, sort=False):
        first = rows.iloc[0]
        method = results.labels[first["method"]]
        label = variant_text(first["variant"]) or method
        found[label if label not in found else f"{first['table']}: {label}"] = rows
    return found


def _table_title(results: Results, table: str) -> str:
    if table == _COMPARISON:
        return "Comparison"
    known = {**results.report["sections"], **results.report["ablations"]}
    return str(known.get(table, {}).get("title", table))


def _histograms(results: Results, name: str) -> Drawing:
    logged = _shown(diagnostics.last_epoch(_logged(results, _HISTOGRAMS)))
    rows = {
        label: of_row
        for label, of_row in _labelled(results, logged).items()
        if log.SYNTHETIC_HARDNESS in set(of_row["name"])
    }
    caption = (
        "Cosines to the anchor of real and of synthetic negatives in the last epoch, student "
        "anchors against teacher points, mean over seeds. The farther right, the harder. The "
        f"first pair of each table{_first_of(len(rows), _MOST_PANELS)}."
    )
    if not rows:
        return Drawing(name, caption, blank("No method made synthetic negatives."))
    figure, grid = panels(min(len(rows), _MOST_PANELS), 2.1, 1.8, sharey=True)
    for panel, (label, of_row) in zip(grid, rows.items(), strict=False):
        panel.set_title(textwrap.fill(label, 28))
        for kind, look in _histogram_looks().items():
            _draw_histogram(panel, of_row[of_row["name"] == kind], look)
    name_axes(grid, "Cosine to the anchor", "Share")
    looks = _histogram_looks()
    add_legend(
        figure,
        [
            legend_key(label, color=looks[kind].colour, ls=looks[kind].dash)
            for kind, label in _HISTOGRAMS.items()
        ],
    )
    return Drawing(name, caption, figure)


def _histogram_looks() -> dict[str, Style]:
    looks = styles(_HISTOGRAMS, log.REAL_HARDNESS)
    return {kind: looks[kind] for kind in _HISTOGRAMS}


def _draw_histogram(panel: Axes, rows: pd.DataFrame, look: Style) -> None:
    shares = rows.groupby("row")["value"].mean().reindex(range(log.BINS), fill_value=0.0)
    edges = np.linspace(-1, 1, log.BINS + 1)
    panel.stairs(shares.to_numpy(), edges, color=look.colour, ls=look.dash, lw=1.2)
    panel.stairs(shares.to_numpy(), edges, color=look.colour, fill=True, alpha=0.15, lw=0)
    panel.set_xlim(-1, 1)
    panel.set_ylim(bottom=0)


def _epochs(results: Results, name: str) -> Drawing:
    rows = _labelled(results, _shown(_logged(results, _MEASURES)))
    caption = (
        "What was logged of the synthetic points over the epochs, mean over seeds. The first pair "
        f"of each table{_first_of(len(rows), _MOST_LINES)}."
    )
    if not rows:
        return Drawing(name, caption, blank("No method logged synthetic points."))
    shown = dict([*rows.items()][:_MOST_LINES])
    logged = pd.concat([of_row.assign(label=label) for label, of_row in shown.items()])
    measures = [measure for measure in _MEASURES if measure in set(logged["name"])]
    looks = styles(shown, "")
    figure, grid = panels(len(measures), 2.3, 1.9)
    for panel, measure in zip(grid, measures, strict=True):
        of_measure = logged[logged["name"] == measure]
        for label, of_row in of_measure.groupby("label", sort=False):
            _draw_line(panel, of_row, looks[str(label)])
        panel.set_title(_MEASURES[measure])
    name_axes(grid, "Epoch")
    add_legend(
        figure,
        [legend_key(label, color=looks[label].colour, ls=looks[label].dash) for label in shown],
    )
    return Drawing(name, caption, figure)


def _draw_line(panel: Axes, rows: pd.DataFrame, look: Style) -> None:
    from matplotlib.ticker import MaxNLocator

    means = rows.groupby("epoch")["value"].mean()
    panel.plot(means.index, means, color=look.colour, ls=look.dash, lw=1.2)
    if len(means) == 1:
        panel.plot(means.index, means, color=look.colour, marker=look.marker)
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))


def _first_of(count: int, most: int) -> str:
    """Say that not everything is shown."""
    return f"; the first {most} of {count} rows" if count > most else ""
