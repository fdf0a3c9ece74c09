"""Figures with a panel for each pair, and the looks of the networks in them."""

from __future__ import annotations

import textwrap
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from distillery.reporting.drawing import Style, legend_key, panels
from distillery.reporting.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Error bars of more methods than these hide each other.
MOST_BARS = 10


def pair_panels(
    results: Results,
    pairs: Iterable[str],
    alone: tuple[float, float],
    beside: tuple[float, float],
    **sharing: Any,
) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with a titled panel for each pair.

    Args:
        results: what the report is about.
        pairs: ids of the pairs, at least one.
        alone: width and height in inches of the panel of a single pair.
        beside: width and height of the panels of several pairs.
        sharing: axes to share, as for ``drawing.panels``.
    """
    shown = list(pairs)
    figure, grid = panels(len(shown), *(alone if len(shown) == 1 else beside), **sharing)
    found = dict(zip(shown, grid, strict=True))
    for pair, panel in found.items():
        panel.set_title(textwrap.fill(str(results.pairs[pair]), 28))
    return figure, found


def draw_point(panel: Axes, row: Any, look: Style, *, has_bars: bool) -> None:
    """Draw a row of ``protocol_metrics.points``."""
    panel.errorbar(
        row.mean_x,
        row.mean_y,
        xerr=row.std_x if has_bars else None,
        yerr=row.std_y if has_bars else None,
        color=look.colour,
        marker=look.marker,
        ls="none",
        capsize=2,
    )


def point_keys(
    labels: Mapping[str, str], looks: Mapping[str, Style], drawn: Container[str]
) -> list[Line2D]:
    """Return the legend of the methods that are drawn as points."""
    return [
        legend_key(label, color=looks[method].colour, marker=looks[method].marker, ls="none")
        for method, label in labels.items()
        if method in drawn
    ]
