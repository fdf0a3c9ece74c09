"""Figures that compare the methods of each pair: means, deviations and single runs of a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import ACCURACY, GREY, Styles
from distillery.reporting.results.collected import LAST, Results
from distillery.reporting.results.protocols import pairs_of
from distillery.reporting.statistics import seeds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Height of a row and of what is around them in inches, and what names of methods may take.
_ROW, _AROUND = 0.15, 0.65
_WIDEST_NAME, _NAME_SIZE = 1.6, 7.0
_LEAST = 1.1
_MANY_PAIRS, _MOST_BESIDE = 6, 4


def accuracy(results: Results, styles: Styles) -> ReportFigure:
    """Draw mean, deviation and single runs of each method, a panel for each pair."""
    caption = (
        "Test top-1 accuracy of the students at the last epoch: mean over seeds with error bars of "
        "one standard deviation, and single runs. The dotted line is the baseline, the dashed line "
        "the teacher."
    )
    return compare(results, "accuracy", caption, LAST, ACCURACY, styles, "There are no results.")


def compare(
    results: Results,
    name: str,
    caption: str,
    metric: str,
    axis: str,
    styles: Styles,
    empty: str,
) -> ReportFigure:
    """Draw a metric of the students: a row for each method, lines for teacher and baseline.

    Args:
        results: what the report is about.
        name: name of the figure's files.
        caption: its caption.
        metric: column of the collected runs.
        axis: what the metric is called.
        styles: a style for each method.
        empty: what the figure says where no student has the metric.
    """
    columns = ["pair", "method", metric]
    students = results.students.reindex(columns=columns).dropna(subset=[metric])
    pairs = pairs_of(results, students)
    if not pairs:
        return ReportFigure(name, caption, panels.blank(empty))
    methods = [method for method in results.labels if method in set(students["method"])]
    labels = [results.labels[method] for method in methods]
    names = [layout.wrapped(label, _WIDEST_NAME, _NAME_SIZE) for label in labels]
    height = max(_LEAST, _AROUND + layout.rows_of(names, _NAME_SIZE, _ROW) * len(labels))
    most = _MOST_BESIDE if len(pairs) > _MANY_PAIRS else 3
    shown = layout.that_fit(pairs, height, most)
    figure, grid = panels.of_pairs(results, shown, height, most=most, sharey=True)
    for pair, panel in grid.items():
        of_pair = students[students["pair"] == pair]
        _draw_methods(panel, of_pair, metric, methods, styles)
        teacher = results.teacher_of(pair).reindex(columns=[metric])[metric]
        baseline = of_pair.loc[of_pair["method"] == results.baseline, metric]
        _draw_mean(panel, teacher, color="black", ls="--", lw=0.9)
        _draw_mean(panel, baseline, color=GREY, ls=":", lw=1)
        panel.tick_params("y", length=0)
    grid[pairs[0]].set_yticks(range(len(labels)), names)
    grid[pairs[0]].set_ylim(len(labels) - 0.4, -0.6)
    panels.name_axes([*grid.values()], axis)
    handles = [
        panels.legend_key("one seed", marker="o", ls="")
        if results.is_single
        else panels.legend_key("mean ± one standard deviation", marker="o"),
        panels.legend_key("single run", marker="o", ls="", markersize=2.5, alpha=0.6),
        panels.legend_key("teacher", color="black", ls="--"),
    ]
    if results.baseline in methods:
        handles.append(panels.legend_key(results.baseline_label, ls=":"))
    panels.add_legend(figure, handles)
    caption += layout.left_out(shown, len(pairs), "pairs")
    return ReportFigure(name, caption, figure)


def _draw_methods(
    panel: Axes,
    students: pd.DataFrame,
    metric: str,
    methods: list[str],
    styles: Styles,
) -> None:
    """Draw one pair: a row for each method, from the top."""
    means = seeds.over_seeds(students, ["method"], metric).set_index("method")
    for row, method in enumerate(methods):
        if method in means.index:
            panel.errorbar(
                means["mean"][method],
                row,
                xerr=means["std"][method],
                color=styles[method].colour,
                marker=styles[method].marker,
                capsize=2,
                zorder=3,
            )
    panels.scatter(
        panel,
        students[metric],
        students["method"].map(methods.index),
        (0, -4.5),
        c=[styles[method].colour for method in students["method"]],
    )


def _draw_mean(panel: Axes, values: pd.Series, **drawn: Any) -> None:
    """Draw a line at the mean of some networks, if any of them was measured."""
    known = seeds.over_seeds(values.to_frame("value").assign(of=""), ["of"], "value")
    for mean in known["mean"]:
        panel.axvline(mean, zorder=1, **drawn)
