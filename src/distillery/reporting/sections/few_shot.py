"""Section of the study ``few-shot``: accuracy over the share of the training images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from distillery.reporting import study
from distillery.reporting.drawing import Drawing, Style
from distillery.reporting.results import Results
from distillery.reporting.study import Axis
from distillery.reporting.table import Table

TITLE = "Few-shot distillation"
TABLES = ("",)
FIGURES = ("",)

_AXIS = Axis("split.fraction", "Training images (%)", lambda share: f"{100 * share:.4g}")
_CAPTION = (
    "Test top-1 accuracy (%) at the last epoch of students that learn from a part of the training "
    "images, the same for all methods and seeds. The teacher has learned from all that its own "
    "settings give it."
)


def tables(results: Results, entry: str) -> list[Table]:
    """Return accuracy: methods down, shares across."""
    return [study.table(results, entry, _AXIS, _CAPTION)]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield accuracy over the share."""
    yield study.figure(results, entry, _AXIS, _CAPTION, looks)
