"""The figures of a report: the same statistics as in the tables, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from distillery.reporting import ablation_figure
from distillery.reporting.drawing import (
    ACCURACY,
    GREY,
    Drawing,
    Style,
    add_legend,
    blank,
    legend_key,
    name_axes,
    panels,
    scatter_beside,
    styles,
)
from distillery.reporting.results import LAST, TEACHER, Networks, Results, records
from distillery.reporting.sections import registry as sections

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Share of the lowest accuracies that learning curves do not show.
_BEGINNING = 0.1
# Bands of more methods than these hide each other.
_MOST_BANDS = 10


def all_figures(results: Results) -> Iterator[Drawing]:
    """Yield every figure of the report; to be drawn inside ``drawing.theme``."""
    looks = styles(results.labels, results.baseline)
    yield accuracy(results, looks)
    yield learning_curves(results, looks)
    for name in results.report["ablations"]:
        yield ablation_figure.draw(results, name, looks)
    for entry, shown in results.report["sections"].items():
        yield from sections.load(shown["module"]).figures(results, entry, looks)


def accuracy(results: Results, looks: Mapping[str, Style]) -> Drawing:
    """Draw mean, deviation and single runs of each method, a panel for each pair."""
    labels = list(results.methods.values())
    width = 3.2 if len(results.compared) == 1 else 2.1
    figure, grid = panels(len(results.compared), width, 0.6 + 0.19 * len(labels), sharey=True)
    # The names of the methods stand beside the panels of the first column.
    figure.set_figwidth(figure.get_figwidth() + 0.06 * max(map(len, labels), default=0))
    for panel, (pair, networks) in zip(grid, results.compared.items(), strict=True):
        _compare(panel, results, pair, looks)
        panel.set_title(_heading(networks))
        panel.tick_params("y", length=0)
    grid[0].set_yticks(range(len(labels)), labels)
    grid[0].set_ylim(len(labels) - 0.4, -0.6)
    name_axes(grid, ACCURACY)
    handles = [
        legend_key("mean ± std", marker="o"),
        legend_key("single run", marker="o", ls="", markersize=2.5, alpha=0.6),
        legend_key("teacher", color="black", ls="--"),
    ]
    if results.baseline in results.methods:
        handles.append(legend_key(results.baseline_label, ls=":"))
    add_legend(figure, handles)
    return Drawing(
        "accuracy",
        "Test top-1 accuracy of the students at the last epoch: mean and standard deviation over "
        "seeds, and single runs. The dotted line is the baseline, the dashed line the teacher.",
        figure,
    )


def learning_curves(results: Results, looks: Mapping[str, Style]) -> Drawing:
    """Draw test accuracy over epochs, a panel for each pair."""
    from matplotlib.ticker import MaxNLocator

    has_bands = len(results.methods) <= _MOST_BANDS
    name, caption = (
        "learning-curves",
        "Test top-1 accuracy of the students over the epochs: mean over seeds"
        f"{', with a band of one standard deviation to either side' if has_bands else ''}. "
        "The lowest tenth of the values, from the beginning, lies below.",
    )
    curves = results.learning_curves()
    if curves.empty:
        return Drawing(name, caption, blank("No learning curves were recorded."))
    size = (4.6, 3.0) if len(results.compared) == 1 else (2.4, 2.1)
    figure, grid = panels(len(results.compared), *size)
    for panel, (pair, networks) in zip(grid, results.compared.items(), strict=True):
        of_pair = curves[curves["pair"] == pair]
        for method, rows in of_pair.groupby("method", sort=False):
            look = looks[str(method)]
            panel.plot(rows["epoch"], rows["mean"], color=look.colour, ls=look.dash, lw=1)
            if has_bands:
                _band(panel, rows, look)
        # The steep beginning would press the differences at the end together.
        panel.set_ylim(bottom=float(of_pair["mean"].quantile(_BEGINNING)))
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        panel.set_title(_heading(networks))
    name_axes(grid, "Epoch", ACCURACY)
    handles = [
        legend_key(label, color=looks[method].colour, ls=looks[method].dash)
        for method, label in results.methods.items()
    ]
    add_legend(figure, handles)
    return Drawing(name, caption, figure)


def _compare(panel: Axes, results: Results, pair: str, looks: Mapping[str, Style]) -> None:
    """Draw one pair: a row for each method, from the top."""
    rows = {method: row for row, method in enumerate(results.methods)}
    for row in records(results.summary.loc[[pair]].drop(index=TEACHER, level="method")):
        look = looks[row.Index[1]]
        panel.errorbar(
            row.mean,
            rows[row.Index[1]],
            xerr=row.std,
            color=look.colour,
            marker=look.marker,
            capsize=2,
            zorder=3,
        )
    students = results.students[results.students["pair"] == pair]
    scatter_beside(
        panel,
        students[LAST],
        students["method"].map(rows),
        (0, -4.5),
        c=[looks[method].colour for method in students["method"]],
    )
    teacher = results.summary["mean"][pair, TEACHER]
    panel.axvline(teacher, color="black", ls="--", lw=0.9, zorder=1)
    if pair in results.baselines:
        panel.axvline(results.baselines[pair], color=GREY, ls=":", lw=1, zorder=1)


def _band(panel: Axes, curve: pd.DataFrame, look: Style) -> None:
    low, high = curve["mean"] - curve["std"], curve["mean"] + curve["std"]
    panel.fill_between(curve["epoch"], low, high, color=look.colour, alpha=0.15, linewidth=0)


def _heading(networks: Networks) -> str:
    """Return a pair's title, on two lines if it is long."""
    line = str(networks)
    return line if len(line) <= 28 else f"{networks.teacher} →\n{networks.student}"
