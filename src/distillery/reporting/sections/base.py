"""What a section of the report is: tables and figures of what a protocol or methods found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import Styles
from distillery.reporting.results.collected import Results
from distillery.reporting.tables.building import metrics_table
from distillery.reporting.tables.model import Table


class Section(ABC):
    """A section: it always makes all tables and figures that it declares.

    The files are declared before anything is computed. Where there is nothing to show, tables are
    empty and figures say so.
    """

    title: ClassVar[str]
    """Its heading, unless the params file has another."""
    table_suffixes: ClassVar[tuple[str, ...]] = ("",)
    """What its tables are called, see ``files.section``."""
    figure_suffixes: ClassVar[tuple[str, ...]] = ("",)
    """What its figures are called."""

    @abstractmethod
    def tables(self, results: Results, entry: str) -> list[Table]:
        """Return the tables.

        Args:
            results: what the report is about.
            entry: id of the protocol's entry, or the section's name.
        """

    @abstractmethod
    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield the figures; to be drawn inside ``figures.style.theme``.

        Args:
            results: what the report is about.
            entry: id of the protocol's entry, or the section's name.
            styles: a style for each method.
        """

    def remarks(self, results: Results, entry: str) -> list[str]:
        """Return what the report has to say in its first lines, a sentence or two each.

        Args:
            results: what the report is about.
            entry: id of the protocol's entry, or the section's name.
        """
        return []


class MetricsSection(Section):
    """A section with one table: metrics of a protocol for all teachers and students."""

    caption: ClassVar[str]
    """Caption of the table."""
    metrics: ClassVar[Mapping[str, str]]
    """Metric -> heading."""

    def tables(self, results: Results, entry: str) -> list[Table]:
        """Return the metrics: teachers and students down, metrics across."""
        return [metrics_table(results, entry, self.caption, self.metrics)]
