"""Section of the protocol ``inter-class``: how far the relations of classes are the teacher's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from distillery.reporting import files
from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import Styles
from distillery.reporting.formatting import digits_for, number
from distillery.reporting.results.collected import Results
from distillery.reporting.results.protocols import first_seeds
from distillery.reporting.sections.base import MetricsSection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# So that a few extreme pairs of classes do not make all others pale.
_LARGEST = 0.99
_HEIGHT, _OF_NAMES = 1.9, 0.3
# So many names of classes can be read beside a heat map.
_MOST_NAMES = 12
_WIDEST_NAME, _NAME_SIZE = 0.9, 7.0


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


class InterClass(MetricsSection):
    """The mean differences of all networks, and heat maps of the first seeds."""

    title = "Inter-class correlation"
    figure_suffixes = tuple(_MATRICES)
    caption = (
        "Mean absolute difference of student and teacher on the test set, off the diagonal, in the "
        "correlations of the logits of two classes, and in the mean logits of the images of each "
        "class. Mean ± standard deviation over seeds."
    )
    metrics: ClassVar[Mapping[str, str]] = {
        "correlation_difference": "Correlations of logits",
        "class_mean_difference": "Mean logits of classes",
    }

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield heat maps of both matrices of differences, a panel for each method."""
        pair, _, students = first_seeds(results, results.details(entry))
        for suffix, matrix in _MATRICES.items():
            shown = layout.that_fit(students, _HEIGHT + _OF_NAMES)
            differences = {
                label: np.abs(np.stack([*details[matrix.column]])) for label, details in shown
            }
            classes = [str(name) for name in students[0].details["class"]] if students else []
            yield ReportFigure(
                files.section(entry, suffix),
                f"Absolute difference of student and teacher in the {matrix.words} on the test "
                "set, the same colour scale for all methods; it ends where 99% of the values do. "
                f"The first seed of {results.pairs[pair] if pair else 'a pair'}; the number is the "
                "panel’s mean off the diagonal."
                f"{layout.left_out(shown, len(students), 'methods')}",
                _heat_maps(differences, matrix, classes)
                if students
                else panels.blank("No relations of classes were measured."),
            )


def _heat_maps(
    differences: Mapping[str, np.ndarray], matrix: _Matrix, classes: Sequence[str]
) -> Figure:
    values = {label: _off_diagonal(shown) for label, shown in differences.items()}
    every = np.concatenate([*values.values()])
    largest = float(np.quantile(every, _LARGEST)) if every.size else 0.0
    means = {label: float(known.mean()) if known.size else 0.0 for label, known in values.items()}
    digits = digits_for(means.values())
    are_named = len(classes) <= _MOST_NAMES
    figure, grid = panels.grid(len(differences), _HEIGHT + (_OF_NAMES if are_named else 0))
    figure.set_figheight(figure.get_figheight() + 0.5)
    columns = layout.columns_of(len(differences))
    for place, (panel, (label, shown)) in enumerate(zip(grid, differences.items(), strict=True)):
        image = panels.heat_map(panel, shown, largest)
        panels.set_title(panel, label, number(means[label], digits))
        panels.hide_ticks(panel)
        if are_named:
            names = [layout.wrapped(name, _WIDEST_NAME, _NAME_SIZE) for name in classes]
            if place % columns == 0:
                panel.set_yticks(range(len(names)), names)
            if place + columns >= len(differences):
                panels.rotated_below(panel, range(len(names)), names)
    panels.name_axes(grid, matrix.x, matrix.y)
    panels.add_scale(grid, image, "|student − teacher|", extend="max")
    return figure


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """Return the values of a matrix (C, C) off its diagonal, those that are known, (N,)."""
    is_shown: np.ndarray = ~np.eye(len(matrix), dtype=bool) & ~np.isnan(matrix)
    return np.asarray(matrix[is_shown])
