"""The figure of the learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.highlights import Highlights, highlighted
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import ACCURACY, FAINT, Styles
from distillery.reporting.formatting import enumerated
from distillery.reporting.results.collected import Results
from distillery.reporting.results.protocols import pairs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Share of the lowest accuracies that learning curves do not show, unless a curve would be gone.
_BEGINNING = 0.1
# Curves of no more points are shown as a whole, with a marker at each.
_FEW = 5
# More curves in colour hide each other.
_MOST = 6
_HEIGHT, _HEIGHT_ALONE = 1.65, 2.2


def learning_curves(results: Results, styles: Styles) -> ReportFigure:
    """Draw test accuracy over epochs, a panel for each pair."""
    curves = results.learning_curves()
    methods = [method for method in results.methods if method in set(curves["method"])]
    shown = highlighted(results, methods, styles, _MOST)
    measured = sorted(curves["epoch"].unique())
    bands = "" if results.is_single else ", with a band of one standard deviation to either side"
    name, caption = (
        "learning-curves",
        f"Test top-1 accuracy of the students over the epochs: mean over seeds{bands}. "
        f"{_measured_at(measured)}{shown.note}",
    )
    if curves.empty:
        return ReportFigure(name, caption, panels.blank("No learning curves were recorded."))
    every = pairs_of(results, curves)
    height = _HEIGHT_ALONE if len(every) == 1 else _HEIGHT
    pairs = layout.that_fit(every, height)
    figure, grid = panels.of_pairs(results, pairs, height)
    for pair, panel in grid.items():
        _draw(panel, curves[curves["pair"] == pair], shown)
    panels.name_axes([*grid.values()], "Epoch", ACCURACY)
    handles = [
        panels.style_key(label, styles[method], marker=len(measured) <= _FEW)
        for method, label in shown.labels.items()
    ]
    if shown.faded:
        handles.append(panels.legend_key(f"{shown.faded} other methods", color=FAINT))
    panels.add_legend(figure, handles)
    caption += layout.left_out(pairs, len(every), "pairs")
    return ReportFigure(name, caption, figure)


def _measured_at(epochs: Sequence[int]) -> str:
    """Say what of the curves a caption must tell: where they were measured, or what is cut off."""
    if len(epochs) > _FEW:
        return "The lowest tenth of the values, from the beginning, lies below."
    noun = "epoch" if len(epochs) == 1 else "epochs"
    return f"It was measured after {noun} {enumerated([*map(str, epochs)])}."


def _draw(panel: Axes, curves: pd.DataFrame, shown: Highlights) -> None:
    """Draw the curves of a pair, what is in grey behind the rest."""
    from matplotlib.ticker import MaxNLocator

    epochs_measured = sorted(curves["epoch"].unique())
    are_few = len(epochs_measured) <= _FEW
    for method, rows in curves.groupby("method", sort=False):
        style, is_named = shown.styles[str(method)], method in shown.labels
        epochs, mean, std = rows["epoch"], rows["mean"], rows["std"]
        panel.plot(
            epochs,
            mean,
            ls=style.dash,
            marker=style.marker if are_few else "none",
            color=style.colour,
            lw=1.1 if is_named else 0.6,
            zorder=3 if is_named else 2,
        )
        if is_named:
            band = {"color": style.colour, "alpha": 0.15, "linewidth": 0}
            panel.fill_between(epochs, mean - std, mean + std, **band)
    if are_few:
        panel.set_xticks(epochs_measured)
        return
    # The steep beginning would press the differences at the end together; but each curve is seen.
    last = curves.groupby("method")["mean"].last().min()
    low, high = min(float(curves["mean"].quantile(_BEGINNING)), last), float(panel.dataLim.y1)
    margin = 0.06 * (high - low or 1.0)
    panel.set_ylim(low - margin, high + margin)
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
