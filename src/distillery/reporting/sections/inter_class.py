"""Section of the protocol ``inter-class``: how far the relations of classes are the teacher's."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from distillery.reporting import files
from distillery.reporting.drawing import Drawing, Style, blank, name_axes, panels
from distillery.reporting.formatting import digits_for, number
from distillery.reporting.protocol_metrics import first_seeds
from distillery.reporting.protocol_tables import metrics_table
from distillery.reporting.results import Results
from distillery.reporting.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Inter-class correlation"
TABLES = ("",)
FIGURES = ("", "class-means")

_COLUMNS = {
    "correlation_difference": "Correlations of logits",
    "class_mean_difference": "Mean logits of classes",
}
# So that a few extreme pairs of classes do not make all others pale.
_LARGEST = 0.99


class _Matrix(NamedTuple):
    """A matrix in the details: its column, in words, and what its axes are."""

    column: str
    words: str
    x: str
    y: str


_MATRICES = {
    "": _Matrix("correlation", "correlations of the logits", "Class", "Class"),
    "class-means": _Matrix(
        "class_mean", "mean logits of the images of each class", "Logit", "Class of the images"
    ),
}


def tables(results: Results, entry: str) -> list[Table]:
    """Return the mean differences of all networks."""
    caption = (
        "Mean absolute difference of student and teacher on the test set, off the diagonal, in the "
        "correlations of the logits of two classes, and in the mean logits of the images of each "
        "class. Mean ± standard deviation over seeds."
    )
    return [metrics_table(results, entry, caption, _COLUMNS)]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield heat maps of both matrices of differences, a panel for each method."""
    details = results.details(entry)
    pair, _, students = first_seeds(results, details)
    for suffix in FIGURES:
        matrix, name = _MATRICES[suffix], files.section(entry, suffix)
        caption = (
            f"Absolute difference of student and teacher in the {matrix.words} on the test set, "
            "the same colour scale for all methods; it ends where 99% of the values do. The first "
            f"seed of {results.pairs[pair] if pair else 'a pair'}; the number is the panel’s mean "
            "off the diagonal."
        )
        if not students:
            yield Drawing(name, caption, blank("No relations of classes were measured."))
            continue
        differences = {
            label: np.abs(np.stack([*found[matrix.column]])) for label, found in students
        }
        yield Drawing(name, caption, _heat_maps(differences, matrix))


def _heat_maps(differences: Mapping[str, np.ndarray], matrix: _Matrix) -> Figure:
    values = {name: _off_diagonal(shown) for name, shown in differences.items()}
    every = np.concatenate([*values.values()])
    largest = float(np.quantile(every, _LARGEST)) if every.size else 0.0
    means = {name: float(known.mean()) if known.size else 0.0 for name, known in values.items()}
    digits = digits_for(means.values())
    figure, grid = panels(len(differences), 1.9, 2.3)
    figure.set_figheight(figure.get_figheight() + 0.5)
    for panel, (name, shown) in zip(grid, differences.items(), strict=True):
        # Squares would leave no room for a long name.
        image = panel.imshow(
            shown, vmin=0, vmax=largest or 1, cmap="mako_r", interpolation="nearest", aspect="auto"
        )
        panel.set_title(f"{textwrap.fill(name, 22)}\n{number(means[name], digits)}")
        panel.set_xticks([])
        panel.set_yticks([])
        panel.grid(visible=False)
    name_axes(grid, matrix.x, matrix.y)
    bar = figure.colorbar(image, ax=grid, location="bottom", extend="max", aspect=30, pad=0.02)
    bar.set_label("|student − teacher|")
    return figure


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    values = matrix[~np.eye(len(matrix), dtype=bool)]
    return values[~np.isnan(values)]
