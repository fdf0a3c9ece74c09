"""Section of the protocol ``transfer``: probes of the frozen networks on another data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from distillery.reporting import files, statistics
from distillery.reporting.drawing import (
    GREY,
    Drawing,
    Style,
    add_legend,
    blank,
    legend_key,
    name_axes,
    scatter_beside,
)
from distillery.reporting.pair_panels import pair_panels
from distillery.reporting.protocol_metrics import pairs_of
from distillery.reporting.protocol_tables import metrics_table
from distillery.reporting.results import Results, records
from distillery.reporting.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "Transfer of the representation"
TABLES = ("",)
FIGURES = ("",)

_COLUMNS = {"probe_top1": "Linear probe (%)", "knn_top1": "k-NN (%)"}


def tables(results: Results, entry: str) -> list[Table]:
    """Return both accuracies of all networks."""
    caption = (
        "Top-1 accuracy on the test part of the probed data set, of a linear classifier and of the "
        "nearest neighbours on the frozen networks’ embeddings. Mean ± standard deviation over "
        "seeds of the students."
    )
    return [metrics_table(results, entry, caption, _COLUMNS)]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield the accuracy of the linear classifier, a panel for each pair."""
    name, metric = files.section(entry), f"{entry}/probe_top1"
    caption = (
        "Top-1 accuracy of a linear classifier on the frozen embedding, on the probed data set: "
        "mean and standard deviation over seeds of the students, and single runs. The dotted line "
        "is the baseline, the dashed line the teacher."
    )
    columns = ["pair", "method", metric]
    students = results.students.reindex(columns=columns).dropna(subset=[metric])
    pairs = pairs_of(results, students)
    if not pairs:
        yield Drawing(name, caption, blank("No transfer was measured."))
        return
    methods = [method for method in results.labels if method in set(students["method"])]
    labels = [results.labels[method] for method in methods]
    height = 0.6 + 0.19 * len(labels)
    figure, grid = pair_panels(results, pairs, (3.2, height), (2.1, height), sharey=True)
    # The names of the methods stand beside the panels of the first column.
    figure.set_figwidth(figure.get_figwidth() + 0.06 * max(map(len, labels)))
    rows = {method: row for row, method in enumerate(methods)}
    for pair, panel in grid.items():
        of_pair = students[students["pair"] == pair]
        baseline = of_pair[of_pair["method"] == results.baseline]
        _compare(panel, of_pair, metric, rows, looks)
        _mark(panel, results.teacher_of(pair), metric, color="black", ls="--", lw=0.9)
        _mark(panel, baseline, metric, color=GREY, ls=":", lw=1)
        panel.tick_params("y", length=0)
    grid[pairs[0]].set_yticks(range(len(labels)), labels)
    grid[pairs[0]].set_ylim(len(labels) - 0.4, -0.6)
    name_axes([*grid.values()], "Linear probe (%)")
    handles = [
        legend_key("mean ± std", marker="o"),
        legend_key("single run", marker="o", ls="", markersize=2.5, alpha=0.6),
        legend_key("teacher", color="black", ls="--"),
    ]
    if results.baseline in methods:
        handles.append(legend_key(results.baseline_label, ls=":"))
    add_legend(figure, handles)
    yield Drawing(name, caption, figure)


def _compare(
    panel: Axes,
    students: pd.DataFrame,
    metric: str,
    rows: Mapping[str, int],
    looks: Mapping[str, Style],
) -> None:
    """Draw one pair: a row for each method, from the top."""
    for row in records(statistics.over_seeds(students, ["method"], metric)):
        look = looks[row.method]
        panel.errorbar(
            row.mean,
            rows[row.method],
            xerr=row.std,
            color=look.colour,
            marker=look.marker,
            capsize=2,
            zorder=3,
        )
    scatter_beside(
        panel,
        students[metric],
        students["method"].map(rows),
        (0, -4.5),
        c=[looks[method].colour for method in students["method"]],
    )


def _mark(panel: Axes, networks: pd.DataFrame, metric: str, **look: object) -> None:
    """Draw a line at the mean of some networks, if it was measured for any."""
    mean = networks.reindex(columns=[metric])[metric].mean()
    if pd.notna(mean):
        panel.axvline(mean, zorder=1, **look)  # type: ignore[arg-type]
