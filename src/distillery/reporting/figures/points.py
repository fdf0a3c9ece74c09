"""Figures with a point for each method: one measure beside another, a panel for each pair."""

from __future__ import annotations

from collections.abc import Container, Sized
from typing import TYPE_CHECKING

import pandas as pd

from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.highlights import highlighted
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import FAINT, Styles
from distillery.reporting.results.collected import TEACHER, Results, records
from distillery.reporting.results.protocols import pairs_of

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

_MOST_BARS = 10
# More methods in colour make a legend larger than the plot.
_MOST_COLOURS = 12
_HEIGHT, _HEIGHT_ALONE = 1.75, 2.4


def has_bars(methods: Sized) -> bool:
    """Tell whether so few methods are drawn that their error bars do not hide each other."""
    return len(methods) <= _MOST_BARS


def spread_of(results: Results) -> str:
    """Say what points are, and the bars beside them."""
    bars = has_bars(results.methods)
    return "mean over seeds" + (" with error bars of one standard deviation" if bars else "")


def draw_points(
    results: Results,
    name: str,
    caption: str,
    points: pd.DataFrame,
    axes: tuple[str, str],
    styles: Styles,
    empty: str,
) -> ReportFigure:
    """Draw means and, of few methods, deviations of two measures.

    Args:
        results: what the report is about.
        name: name of the figure's files.
        caption: its caption.
        points: as ``results.protocols.points`` returns them, by pair and method.
        axes: names of the axes, x and y.
        styles: a style for each method that may be drawn.
        empty: what the figure says where there are no points.
    """
    every = pairs_of(results, points)
    if not every:
        return ReportFigure(name, caption, panels.blank(empty))
    height = _HEIGHT_ALONE if len(every) == 1 else _HEIGHT
    pairs = layout.that_fit(every, height)
    figure, grid = panels.of_pairs(results, pairs, height)
    methods = [method for method in results.labels if method in set(points["method"])]
    shown = highlighted(results, methods, styles, _MOST_COLOURS)
    looks = {**styles, **shown.styles}
    with_bars = has_bars(methods)
    for row in records(points[points["pair"].isin(pairs)]):
        grid[row.pair].errorbar(
            row.mean_x,
            row.mean_y,
            xerr=row.std_x if with_bars else None,
            yerr=row.std_y if with_bars else None,
            color=looks[row.method].colour,
            marker=looks[row.method].marker,
            ls="none",
            capsize=2,
            zorder=3 if row.method in shown.labels else 2,
        )
    for panel in grid.values():
        panels.thin_out(panel)
    panels.name_axes([*grid.values()], *axes)
    drawn = {*shown.labels, TEACHER} & set(points["method"])
    handles = point_keys(results, styles, drawn)
    if shown.faded:
        handles.append(
            panels.legend_key(f"{shown.faded} other methods", ls="none", marker="o", color=FAINT)
        )
    panels.add_legend(figure, handles)
    caption += shown.note + layout.left_out(pairs, len(every), "pairs")
    return ReportFigure(name, caption, figure)


def point_keys(results: Results, styles: Styles, drawn: Container[str]) -> list[Line2D]:
    """Return the legend of the teacher and the methods that are drawn as points."""
    labels = {TEACHER: "Teacher", **results.labels}
    return [
        panels.style_key(label, styles[method], line=False)
        for method, label in labels.items()
        if method in drawn
    ]
