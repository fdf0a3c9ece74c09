"""Section of methods with attention between layers: which layers they match and distil."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distillery.methods.parts.attention_log import ATTENTION, ENTROPY, FREQUENCY, LAYER_ENTROPY
from distillery.reporting import diagnostics, files, statistics
from distillery.reporting.drawing import Drawing, Style, blank, name_axes, panels
from distillery.reporting.formatting import DASH
from distillery.reporting.results import Results, records
from distillery.reporting.table import Cell, Table, flat_header, mean_cell, runs_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Attention between layers"
TABLES = ("",)
FIGURES = ("", "selection")

_TEACHER_LAYER, _STUDENT_LAYER = "Teacher layer", "Student layer"
_MEASURES = {
    FREQUENCY: "Selected (%)",
    LAYER_ENTROPY: "Entropy over student layers (nats)",
    ENTROPY: "Entropy of the attention (nats)",
}
_ALL_LAYERS = "all"
# A figure with more panels does not fit on a page.
_MOST_PANELS = 12
# Each has a panel for three epochs.
_MOST_METHODS = _MOST_PANELS // 3


def tables(results: Results, entry: str) -> list[Table]:
    """Return how often each teacher layer was selected in the last epoch, and its entropy."""
    data = _of_layers(results)
    rows = []
    for _, layer in data.groupby(["pair", "method", "row"], sort=False):
        first = layer.iloc[0]
        cells = {row.name: mean_cell(row) for row in records(layer)}
        rows.append(
            (
                Cell(str(results.pairs[first["pair"]])),
                Cell(results.labels[first["method"]]),
                _layer_cell(int(first["row"])),
                *(cells.get(measure, Cell(DASH)) for measure in _MEASURES),
                runs_cell(" ".join(layer["runs"])),
            )
        )
    header = ("Pair", "Method", _TEACHER_LAYER, *_MEASURES.values(), "Runs")
    return [
        Table(
            name=files.section(entry),
            caption=(
                "Attention between layers in the last epoch, means over its steps, for methods "
                "that log it: how often a teacher layer was selected for distillation, and over "
                "how many student layers its scores are spread (0 for one, the logarithm of their "
                "number for all alike). Mean ± standard deviation over seeds."
            ),
            header=flat_header(header),
            rows=tuple(rows),
            data=data,
            labels=3,
        )
    ]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield attention matrices at three moments, and how often layers were selected over time."""
    yield _matrices(results, files.section(entry))
    yield _selection(results, files.section(entry, "selection"))


def _logged(results: Results, *names: str) -> pd.DataFrame:
    """Return what students of the comparison logged under these names, in their order."""
    return diagnostics.logged(results, results.students[["pair", "method", "key", "run"]], names)


def _of_layers(results: Results) -> pd.DataFrame:
    """Return the statistics over seeds of each teacher layer's figures in the last epoch.

    The layer ``row`` counts from 0; -1 stands for all of them.
    """
    last = diagnostics.last_epoch(_logged(results, *_MEASURES))
    percent = last["value"].where(last["name"] != FREQUENCY, 100 * last["value"])
    order = ["pair", "method", "row", "name"]
    return statistics.over_runs(last.assign(value=percent), order, "value")


def _layer_cell(row: int) -> Cell:
    return Cell(_ALL_LAYERS, 0) if row < 0 else Cell(str(row + 1), row + 1)


def _matrices(results: Results, name: str) -> Drawing:
    logged = _logged(results, ATTENTION)
    pair = next((pair for pair in results.pairs if pair in set(logged["pair"])), "")
    caption = (
        "Attention of each teacher layer (from the top) to each student layer, mean over the "
        "images of the first, the middle and the last epoch and over seeds, one colour scale for "
        f"all. {results.pairs[pair]}; layers are the blocks that take part, from the first."
        if pair
        else "Attention of teacher layers to student layers."
    )
    if not pair:
        return Drawing(name, caption, blank("No method logged its attention."))
    of_pair = logged[logged["pair"] == pair]
    methods = [method for method in results.labels if method in set(of_pair["method"])]
    shown = {
        f"{_short(results.labels[method])}\nepoch {epoch}": _matrix(rows)
        for method in methods[:_MOST_METHODS]
        for epoch, rows in _moments(of_pair[of_pair["method"] == method])
    }
    if len(methods) > _MOST_METHODS:
        caption = f"{caption} The first {_MOST_METHODS} of {len(methods)} methods."
    return Drawing(name, caption, _heat_maps(shown, "Attention"))


def _moments(logged: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the first, the middle and the last epoch, each once, with what was logged."""
    epochs = sorted(logged["epoch"].unique())
    middle = epochs[(len(epochs) - 1) // 2]
    for epoch in dict.fromkeys((epochs[0], middle, epochs[-1])):
        yield int(epoch), logged[logged["epoch"] == epoch]


def _matrix(rows: pd.DataFrame, columns: str = "column") -> pd.DataFrame:
    """Return the means over seeds as a matrix of teacher layers and ``columns``."""
    return rows.pivot_table("value", "row", columns, aggfunc="mean")


def _selection(results: Results, name: str) -> Drawing:
    logged = _logged(results, FREQUENCY)
    caption = (
        "How often each teacher layer (from the top) was selected for distillation, over the "
        "epochs, mean over seeds."
    )
    if logged.empty:
        return Drawing(name, caption, blank("No method selected layers."))
    shown = {
        f"{_short(results.labels[method])}\n{_short(str(results.pairs[pair]))}": _matrix(
            rows, "epoch"
        )
        for pair in results.pairs
        for method in results.labels
        if len(rows := logged[(logged["pair"] == pair) & (logged["method"] == method)])
    }
    if len(shown) > _MOST_PANELS:
        caption = f"{caption} The first {_MOST_PANELS} of {len(shown)} pairs and methods."
    some = dict([*shown.items()][:_MOST_PANELS])
    return Drawing(name, caption, _heat_maps(some, "Share of the samples", "Epoch", largest=1))


def _short(name: str) -> str:
    """Return a name on several lines if it is long."""
    return textwrap.fill(name, 24)


def _heat_maps(
    shown: Mapping[str, pd.DataFrame], label: str, x: str = _STUDENT_LAYER, *, largest: float = 0
) -> Figure:
    """Draw matrices with a row for each teacher layer, on one scale from 0 to ``largest``."""
    largest = largest or max(float(np.nanmax(matrix)) for matrix in shown.values())
    figure, grid = panels(len(shown), 2.1, 2.1)
    figure.set_figheight(figure.get_figheight() + 0.6)
    for panel, (title, matrix) in zip(grid, shown.items(), strict=True):
        image = _draw_matrix(panel, matrix, largest)
        panel.set_title(title)
    name_axes(grid, x, _TEACHER_LAYER)
    bar = figure.colorbar(image, ax=grid, location="bottom", aspect=30, pad=0.02)
    bar.set_label(label)
    return figure


def _draw_matrix(panel: Axes, matrix: pd.DataFrame, largest: float) -> Any:
    """Draw a matrix from its upper left corner; layers count from 1, epochs as they are."""
    from matplotlib.ticker import MaxNLocator

    left = 0.5 if matrix.columns.name == "column" else matrix.columns.to_numpy()[0] - 0.5
    edges = (left, left + matrix.shape[1], matrix.shape[0] + 0.5, 0.5)
    image = panel.imshow(
        matrix.to_numpy(),
        vmin=0,
        vmax=largest or 1,
        cmap="mako_r",
        interpolation="nearest",
        aspect="auto",
        extent=edges,
    )
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    panel.grid(visible=False)
    return image
