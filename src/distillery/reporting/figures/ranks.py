"""The critical-difference diagram: average ranks, and bars over what is not separable."""

from __future__ import annotations

from typing import Any

import pandas as pd

from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import Styles
from distillery.reporting.results.collected import Results
from distillery.reporting.results.comparisons import basis, blocks, friedman_note
from distillery.reporting.statistics.ranks import average_ranks, critical_difference

NAME = "ranks"
# What names of methods may take on either side, in inches, and the size of their letters.
_WIDEST_NAME, _NAME_SIZE = 1.5, 7.0


def ranks(results: Results, styles: Styles) -> ReportFigure:
    """Draw the methods on an axis of ranks, the best at the left."""
    compared = blocks(results)
    caption = "Average ranks of the methods by test top-1 accuracy at the last epoch. "
    if compared.empty:
        return ReportFigure(
            NAME, caption + basis(results), panels.blank("Too few seeds to test anything.")
        )
    found = average_ranks(compared)
    distance = critical_difference(compared.shape[1], len(compared))
    figure, (panel,) = panels.grid(1, 0.9 + 0.13 * len(found), wide=True)
    panel.grid(visible=False)
    _draw(panel, found, distance, results, styles)
    caption += (
        "1 is the best of a block; a bar joins methods whose ranks differ by less than the "
        f"critical difference (CD). {friedman_note(results)} {basis(results)}"
    )
    return ReportFigure(NAME, caption, figure)


def _draw(panel: Any, found: pd.Series, distance: float, results: Results, styles: Styles) -> None:
    from scikit_posthocs import critical_difference_diagram

    # Numbers stand for the methods: the order of sets of strings differs from run to run, and with
    # it the file.
    numbered = found.reset_index(drop=True)
    apart = abs(numbered.to_numpy()[:, None] - numbered.to_numpy()) >= distance
    drawn = critical_difference_diagram(
        numbered,
        pd.DataFrame(~apart, dtype=float),
        ax=panel,
        label_fmt_left="{label}",
        label_fmt_right="{label}",
        color_palette={number: styles[method].colour for number, method in enumerate(found.index)},
        elbow_props={"linewidth": 0.9},
        crossbar_props={"color": "0.25", "linewidth": 2.2},
        text_h_margin=0.02 * (numbered.max() - numbered.min() or 1),
    )
    for text in drawn["labels"]:
        number = int(text.get_text())
        method = str(found.index[number])
        label = layout.shortened(results.labels[method], _WIDEST_NAME, _NAME_SIZE)
        text.set(text=f" {label}  {numbered[number]:.2f} ", color="0.1", fontsize=_NAME_SIZE)
    _draw_distance(panel, numbered, distance)


def _draw_distance(panel: Any, found: pd.Series, distance: float) -> None:
    """Draw the critical difference above the axis, from the best rank on."""
    start = found.min()
    panel.errorbar(start + distance / 2, 1.6, xerr=distance / 2, color="0.25", capsize=3, marker="")
    panel.text(start + distance / 2, 1.8, f"CD = {distance:.2f}", ha="center", va="bottom")
