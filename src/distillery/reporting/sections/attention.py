"""Section of methods with attention between layers: which layers they match and distil."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from distillery.core.log_names import ATTENTION, ENTROPY, FREQUENCY, LAYER_ENTROPY
from distillery.reporting import files
from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import Styles
from distillery.reporting.results.collected import Results
from distillery.reporting.results.diagnostics import at_the_end, logged
from distillery.reporting.results.protocols import pairs_of
from distillery.reporting.sections.base import Section
from distillery.reporting.tables import cells, columns
from distillery.reporting.tables.building import build, groups
from distillery.reporting.tables.columns import Column
from distillery.reporting.tables.model import Cell, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_TEACHER_LAYER, _STUDENT_LAYER = "Teacher layer", "Student layer"
_MEASURES = {
    FREQUENCY: "Selected (%)",
    LAYER_ENTROPY: "Entropy over student layers (nats)",
    ENTROPY: "Entropy of the attention (nats)",
}
# A figure with more panels does not fit on a page.
_MOST_PANELS = 12
# Each has a panel for three epochs.
_MOST_METHODS = _MOST_PANELS // 3


class Attention(Section):
    """How often teacher layers were selected, and their attention to the student's layers."""

    title = "Attention between layers"
    figure_suffixes = ("", "selection")

    def tables(self, results: Results, entry: str) -> list[Table]:
        """Return how often each teacher layer was selected in the last epoch, and its entropy."""
        by = ["pair", "method", "row"]
        data = at_the_end(_logged(results, *_MEASURES, percent=(FREQUENCY,)), by)
        return [
            build(
                files.section(entry),
                "Attention between layers in the last epoch, means over its steps, for methods "
                "that log it: how often a teacher layer was selected for distillation, and over "
                "how many student layers its scores are spread (0 for one, the logarithm of their "
                "number for all alike). Mean ± standard deviation over seeds.",
                [
                    *columns.names(results),
                    Column(_TEACHER_LAYER, lambda group: _layer_cell(group.names.row), True),
                    *(
                        columns.statistic(heading, measure, cells.percent)
                        for measure, heading in _MEASURES.items()
                    ),
                ],
                groups(data, by, across="name"),
                data,
            )
        ]

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield attention matrices at three moments, and how often layers were selected."""
        yield _matrices(results, files.section(entry))
        yield _selection(results, files.section(entry, "selection"))


def _logged(results: Results, *names: str, percent: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return what students of the comparison logged under these names, in their order.

    The teacher layer ``row`` counts from 0; -1 stands for all of them.
    """
    return logged(results, results.students[["pair", "method", "key", "run"]], names, percent)


def _layer_cell(row: int) -> Cell:
    return Cell("all", 0) if row < 0 else Cell(str(row + 1), row + 1)


def _matrices(results: Results, name: str) -> ReportFigure:
    attention = _logged(results, ATTENTION)
    pair = next(iter(pairs_of(results, attention)), None)
    if pair is None:
        caption = "Attention of teacher layers to student layers."
        return ReportFigure(name, caption, panels.blank("No method logged its attention."))
    caption = (
        "Attention of each teacher layer (from the top) to each student layer, mean over the "
        "images of the first, the middle and the last epoch and over seeds, one colour scale for "
        f"all. {results.pairs[pair]}; layers are the blocks that take part, from the first."
    )
    of_pair = attention[attention["pair"] == pair]
    methods = [method for method in results.labels if method in set(of_pair["method"])]
    matrices = {
        f"{results.labels[method]}\nepoch {epoch}": _matrix(rows)
        for method in methods[:_MOST_METHODS]
        for epoch, rows in _moments(of_pair[of_pair["method"] == method])
    }
    if len(methods) > _MOST_METHODS:
        caption = f"{caption} The first {_MOST_METHODS} of {len(methods)} methods."
    return ReportFigure(name, caption, _heat_maps(matrices, "Attention"))


def _moments(logged: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the first, the middle and the last epoch, each once, with what was logged."""
    epochs = sorted(logged["epoch"].unique())
    middle = epochs[(len(epochs) - 1) // 2]
    for epoch in dict.fromkeys((epochs[0], middle, epochs[-1])):
        yield int(epoch), logged[logged["epoch"] == epoch]


def _matrix(rows: pd.DataFrame, columns: str = "column") -> pd.DataFrame:
    """Return the means over seeds as a matrix of teacher layers and ``columns``."""
    return rows.pivot_table("value", "row", columns, aggfunc="mean")


def _selection(results: Results, name: str) -> ReportFigure:
    frequencies = _logged(results, FREQUENCY)
    caption = (
        "How often each teacher layer (from the top) was selected for distillation, over the "
        "epochs, mean over seeds."
    )
    if frequencies.empty:
        return ReportFigure(name, caption, panels.blank("No method selected layers."))
    of = dict(iter(frequencies.groupby(["pair", "method"])))
    matrices = {
        f"{results.labels[method]}, {results.pairs[pair]}": _matrix(of[pair, method], "epoch")
        for pair in results.pairs
        for method in results.labels
        if (pair, method) in of
    }
    if len(matrices) > _MOST_PANELS:
        caption = f"{caption} The first {_MOST_PANELS} of {len(matrices)} pairs and methods."
    some = dict([*matrices.items()][:_MOST_PANELS])
    return ReportFigure(name, caption, _heat_maps(some, "Share of the samples", "Epoch", largest=1))


def _heat_maps(
    matrices: Mapping[str, pd.DataFrame], scale: str, x: str = _STUDENT_LAYER, *, largest: float = 0
) -> Figure:
    """Draw matrices with a row for each teacher layer, on one scale from 0 to ``largest``."""
    largest = largest or max(float(np.nanmax(matrix)) for matrix in matrices.values())
    figure, grid = panels.grid(len(matrices), 1.9)
    figure.set_figheight(figure.get_figheight() + 0.6)
    for panel, (title, matrix) in zip(grid, matrices.items(), strict=True):
        image = _draw_matrix(panel, matrix, largest)
        panels.set_title(panel, *title.split("\n"))
    panels.name_axes(grid, x, _TEACHER_LAYER)
    panels.add_scale(grid, image, scale)
    return figure


def _draw_matrix(panel: Axes, matrix: pd.DataFrame, largest: float) -> AxesImage:
    """Draw a matrix; layers count from 1, epochs as they are."""
    from matplotlib.ticker import MaxNLocator

    left = 0.5 if matrix.columns.name == "column" else matrix.columns.to_numpy()[0] - 0.5
    edges = (left, left + matrix.shape[1], matrix.shape[0] + 0.5, 0.5)
    image = panels.heat_map(panel, matrix.to_numpy(), largest, extent=edges)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    return image
