"""Section of AECRD: what its synthetic points are like, for every row and variant that has any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from distillery.core import log_names as log
from distillery.reporting import files
from distillery.reporting.figures import panels, sphere
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import Style, Styles, make_styles
from distillery.reporting.formatting import DASH, variant_text
from distillery.reporting.results.collected import Results
from distillery.reporting.results.diagnostics import at_the_end, last_epoch, logged
from distillery.reporting.sections.base import Section
from distillery.reporting.statistics import seeds
from distillery.reporting.tables import columns
from distillery.reporting.tables.building import build, groups
from distillery.reporting.tables.columns import Column, Group
from distillery.reporting.tables.model import Cell, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAVES, STAYS = "leave the plane", "stay in the plane"
# In degrees; rounding in single precision stays far below it.
_IN_PLANE = 0.01
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


class AECRD(Section):
    """What synthetic points are like, for every row and variant that has any."""

    title = "Synthetic points"
    figure_suffixes = ("", "epochs", "sphere")

    def tables(self, results: Results, entry: str) -> list[Table]:
        """Return the metrics of the last epoch, a row for each method or variant."""
        data = at_the_end(_logged(results, _MEASURES), _ROW)
        return [
            build(
                files.section(entry),
                "Synthetic points in the last epoch: the angle of the pairs that they are made "
                "between; how far curves leave the plane of their pair, without which all "
                f"interpolations are one great circle (they do from {_IN_PLANE}° on); the share of "
                "places among an anchor’s hardest negatives that synthetic ones take; and the "
                "share of synthetic negatives whose nearest real point has the anchor’s class. "
                "Alignment and uniformity are those of the projections. Mean ± standard deviation "
                "over seeds.",
                [
                    columns.label("Table", lambda row: _table_title(results, row.table)),
                    *columns.names(results),
                    columns.setting(DASH),
                    Column("Curves", _curves_cell, is_label=True),
                    *columns.metrics(data, _MEASURES, across="name"),
                ],
                groups(data, _ROW, across="name"),
                data,
            )
        ]

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield histograms of hardness, the metrics over the epochs, and the strategies."""
        yield _histograms(results, files.section(entry))
        yield _epochs(results, files.section(entry, "epochs"))
        yield sphere.draw(files.section(entry, "sphere"))


def in_words(angle: float) -> str:
    """Say whether curves leave the plane of their pairs, from their mean angle to it."""
    return LEAVES if angle > _IN_PLANE else STAYS


def _curves_cell(group: Group) -> Cell:
    angle = group.statistics.get(log.OUT_OF_PLANE)
    return Cell(DASH if angle is None else in_words(angle.mean))


def _logged(results: Results, names: Iterable[str]) -> pd.DataFrame:
    """Return what all runs logged under these names, with the row of the report they are in."""
    return logged(results, results.runs[[*_ROW, "key", "run"]], names, _PERCENT)


def _shown(found: pd.DataFrame) -> pd.DataFrame:
    """Return what the figures show: the first pair of every table, and the same runs only once."""
    first = found["pair"] == found.groupby("table")["pair"].transform("first")
    rows = found.loc[first, [*_ROW, "run"]].drop_duplicates()
    runs = rows.groupby(_ROW, sort=False)["run"].agg(tuple).drop_duplicates().reset_index()
    return found.merge(runs[_ROW], on=_ROW)


def _labelled(results: Results, found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of the report by what figures call them."""
    labelled: dict[str, pd.DataFrame] = {}
    for _, rows in found.groupby(_ROW, sort=False):
        first = rows.iloc[0]
        method = results.labels[first["method"]]
        label = variant_text(first["variant"]) or method
        labelled[label if label not in labelled else f"{first['table']}: {label}"] = rows
    return labelled


def _table_title(results: Results, table: str) -> str:
    if table == "main":
        return "Comparison"
    known = results.report.ablations.get(table) or results.report.sections.get(table)
    return known.title if known else table


def _histograms(results: Results, name: str) -> ReportFigure:
    hardness = _shown(last_epoch(_logged(results, _HISTOGRAMS)))
    rows = {
        label: of_row
        for label, of_row in _labelled(results, hardness).items()
        if log.SYNTHETIC_HARDNESS in set(of_row["name"])
    }
    caption = (
        "Cosines to the anchor of real and of synthetic negatives in the last epoch, student "
        "anchors against teacher points, mean over seeds. The farther right, the harder. The "
        f"first pair of each table{_first_of(len(rows), _MOST_PANELS)}."
    )
    if not rows:
        return ReportFigure(name, caption, panels.blank("No method made synthetic negatives."))
    styles = make_styles(_HISTOGRAMS, log.REAL_HARDNESS)
    # Where both are alike, the other shows through.
    synthetic = replace(styles[log.SYNTHETIC_HARDNESS], dash=(0, (3, 2)))
    styles = {**styles, log.SYNTHETIC_HARDNESS: synthetic}
    figure, grid = panels.grid(min(len(rows), _MOST_PANELS), 1.5, sharey=True)
    for panel, (label, of_row) in zip(grid, rows.items(), strict=False):
        panels.set_title(panel, label)
        for kind in _HISTOGRAMS:
            _draw_histogram(panel, of_row[of_row["name"] == kind], styles[kind])
    # Last: a scale with a fixed end no longer grows with what is drawn, and all panels share it.
    grid[0].set_ylim(bottom=0)
    panels.name_axes(grid, "Cosine to the anchor", "Share")
    labels = {label: styles[kind] for kind, label in _HISTOGRAMS.items()}
    panels.name_styles(figure, labels, marker=False)
    return ReportFigure(name, caption, figure)


def _draw_histogram(panel: Axes, rows: pd.DataFrame, style: Style) -> None:
    means = seeds.over_seeds(rows, ["row"], "value").set_index("row")["mean"]
    shares = means.reindex(range(log.BINS), fill_value=0.0).to_numpy()
    edges = np.linspace(-1, 1, log.BINS + 1)
    panel.stairs(shares, edges, color=style.colour, ls=style.dash, lw=1.2)
    panel.stairs(shares, edges, color=style.colour, fill=True, alpha=0.15, lw=0)
    panel.set_xlim(-1, 1)
    panel.set_xticks([-1, -0.5, 0, 0.5, 1])


def _epochs(results: Results, name: str) -> ReportFigure:
    rows = _labelled(results, _shown(_logged(results, _MEASURES)))
    caption = (
        "What was logged of the synthetic points over the epochs, mean over seeds. The first pair "
        f"of each table{_first_of(len(rows), _MOST_LINES)}."
    )
    if not rows:
        return ReportFigure(name, caption, panels.blank("No method logged synthetic points."))
    drawn = dict([*rows.items()][:_MOST_LINES])
    found = pd.concat([of_row.assign(label=label) for label, of_row in drawn.items()])
    means = seeds.over_seeds(found, ["name", "label", "epoch"], "value")
    measures = [measure for measure in _MEASURES if measure in set(means["name"])]
    styles = make_styles(drawn, "")
    figure, grid = panels.grid(len(measures), 1.6)
    for panel, measure in zip(grid, measures, strict=True):
        of_measure = means[means["name"] == measure]
        for label, points in of_measure.groupby("label", sort=False):
            _draw_line(panel, points.sort_values("epoch"), styles[str(label)])
        panels.set_title(panel, _MEASURES[measure])
    panels.name_axes(grid, "Epoch")
    panels.name_styles(figure, {label: styles[label] for label in drawn}, marker=False)
    return ReportFigure(name, caption, figure)


def _draw_line(panel: Axes, points: pd.DataFrame, style: Style) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.plot(points["epoch"], points["mean"], color=style.colour, ls=style.dash, lw=1.2)
    if len(points) == 1:
        panel.plot(points["epoch"], points["mean"], color=style.colour, marker=style.marker)
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))


def _first_of(count: int, most: int) -> str:
    """Say that not everything is shown."""
    return f"; the first {most} of {count} rows" if count > most else ""
