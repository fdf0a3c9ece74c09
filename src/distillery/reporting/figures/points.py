"""Figures with a point for each method: one measure beside another, a panel for each pair."""

from __future__ import annotations

from collections.abc import Container, Sized
from typing import TYPE_CHECKING

import pandas as pd

from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import Styles
from distillery.reporting.results.collected import TEACHER, Results, records
from distillery.reporting.results.protocols import pairs_of

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

_MOST_BARS = 10


def has_bars(methods: Sized) -> bool:
    """Tell whether so few methods are drawn that their error bars do not hide each other."""
    return len(methods) <= _MOST_BARS


def draw_points(
    results: Results,
    name: str,
    caption: str,
    points: pd.DataFrame,
    axes: tuple[str, str],
    styles: Styles,
    sizes: tuple[tuple[float, float], tuple[float, float]],
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
        sizes: of the panel of a single pair, and of those of several, as for ``pair_panels``.
        empty: what the figure says where there are no points.
    """
    pairs = pairs_of(results, points)
    if not pairs:
        return ReportFigure(name, caption, panels.blank(empty))
    figure, grid = panels.of_pairs(results, pairs, *sizes)
    with_bars = has_bars(results.methods)
    for row in records(points):
        grid[row.pair].errorbar(
            row.mean_x,
            row.mean_y,
            xerr=row.std_x if with_bars else None,
            yerr=row.std_y if with_bars else None,
            color=styles[row.method].colour,
            marker=styles[row.method].marker,
            ls="none",
            capsize=2,
        )
    panels.name_axes([*grid.values()], *axes)
    panels.add_legend(figure, point_keys(results, styles, set(points["method"])))
    return ReportFigure(name, caption, figure)


def point_keys(results: Results, styles: Styles, drawn: Container[str]) -> list[Line2D]:
    """Return the legend of the teacher and the methods that are drawn as points."""
    labels = {TEACHER: "Teacher", **results.labels}
    return [
        panels.style_key(label, styles[method], line=False)
        for method, label in labels.items()
        if method in drawn
    ]
