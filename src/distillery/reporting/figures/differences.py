"""The plot of paired differences: each method and the baseline, with intervals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import GREY, Styles
from distillery.reporting.results.collected import Results, records
from distillery.reporting.results.comparisons import against_baseline, by_seed
from distillery.reporting.statistics.paired import LEVEL

NAME = "differences"
_ROW = 0.16
_WIDEST_NAME, _NAME_SIZE = 1.3, 7.0


def differences(results: Results, styles: Styles) -> ReportFigure:
    """Draw the mean paired difference of each method to the baseline, the largest at the top."""
    base = results.labels.get(results.baseline, results.baseline)
    subject = (
        f"Paired differences to {base} in test top-1 accuracy at the last epoch, in percentage "
        "points"
    )
    found = against_baseline(results).sort_values("difference", ascending=False, kind="stable")
    if found.empty:
        nothing = panels.blank("Too few seeds to test anything.")
        return ReportFigure(NAME, f"{subject}: not drawn, for want of seeds.", nothing)
    caption = (
        f"{subject}: the mean over the seeds of all pairs, with error bars that are 95 % intervals "
        "(t); small dots are the means of single pairs. Filled markers are separable from 0 "
        "(p < 0.05 after Holm’s correction)."
    )
    labels = [results.labels[method] for method in found["method"]]
    names = [layout.wrapped(label, _WIDEST_NAME, _NAME_SIZE) for label in labels]
    rows = layout.rows_of(names, _NAME_SIZE, _ROW) * len(names)
    figure, (panel,) = panels.grid(1, 0.55 + rows)
    panel.axvline(0, color=GREY, ls=":", lw=1, zorder=1)
    accuracies = by_seed(results)
    for place, row in enumerate(records(found)):
        _draw(panel, place, row, styles[row.method].colour)
        of_pairs = _of_pairs(accuracies[[row.method, results.baseline]].dropna())
        panels.scatter(panel, of_pairs, [place] * len(of_pairs), (0, -3.5), color=GREY)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.tick_params("y", length=0)
    panels.thin_out_x(panel)
    panels.name_axes([panel], "Difference to the baseline (points)")
    return ReportFigure(NAME, caption, figure)


def _draw(panel: Any, place: int, row: Any, colour: Any) -> None:
    is_apart = row.p_holm < LEVEL
    ends = None if pd.isna(row.low) else [[row.difference - row.low], [row.high - row.difference]]
    panel.errorbar(
        row.difference,
        place,
        xerr=ends,
        color=colour,
        marker="o",
        mfc=colour if is_apart else "white",
        capsize=2,
        zorder=3,
    )


def _of_pairs(both: pd.DataFrame) -> list[float]:
    """Return the mean difference of two columns in each pair."""
    gaps = both.iloc[:, 0] - both.iloc[:, 1]
    return [float(value) for value in gaps.groupby(level="pair", sort=False).mean().round(9)]
