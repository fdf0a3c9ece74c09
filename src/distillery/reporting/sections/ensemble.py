"""Section of the study ``ensemble``: accuracy over the number of teachers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from distillery.reporting import study
from distillery.reporting.drawing import Drawing, Style
from distillery.reporting.results import Results
from distillery.reporting.study import Axis
from distillery.reporting.table import Table

TITLE = "Ensembles of teachers"
TABLES = ("",)
FIGURES = ("",)

_AXIS = Axis("teachers", "Teachers", lambda count: f"{count:.0f}")
_CAPTION = (
    "Test top-1 accuracy (%) at the last epoch of students that learn from the first so many "
    "teachers of their pair. What needs no teacher is the same for every number."
)


def tables(results: Results, entry: str) -> list[Table]:
    """Return accuracy: methods down, numbers of teachers across."""
    return [study.table(results, entry, _AXIS, _CAPTION)]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield accuracy over the number of teachers."""
    yield study.figure(results, entry, _AXIS, _CAPTION, looks)
