"""Sections of studies: accuracy of every method over one number that is varied."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.points import has_bars
from distillery.reporting.figures.style import ACCURACY, Styles
from distillery.reporting.formatting import of_one_seed
from distillery.reporting.results.collected import LAST, Results
from distillery.reporting.results.protocols import pairs_of
from distillery.reporting.sections.base import Section
from distillery.reporting.statistics import seeds
from distillery.reporting.statistics.best import is_best
from distillery.reporting.tables import cells, columns
from distillery.reporting.tables.building import build, groups
from distillery.reporting.tables.model import Table
from distillery.reporting.tables.standard import bold_note


class StudySection(Section):
    """Base of the sections of studies."""

    caption: ClassVar[str]
    """What table and figure show."""
    setting: ClassVar[str]
    """Dotted name of what is varied, in the variants of runs."""
    axis: ClassVar[str]
    """What it is called."""

    @abstractmethod
    def write(self, value: float) -> str:
        """Write one of the values."""

    def tables(self, results: Results, entry: str) -> list[Table]:
        """Return accuracy: pairs and methods down, values across."""
        data = self._means(results, entry)
        values = sorted(data["value"].unique())
        best = is_best(self._runs(results, entry), ["pair", "value"], "method", LAST)
        marks = best.reindex(pd.MultiIndex.from_frame(data[best.index.names])).to_numpy()
        return [
            build(
                files.section(entry),
                f"{self.caption} Mean ± standard deviation over seeds. "
                f"{bold_note(best, 'method of each pair and column')}",
                [
                    *columns.names(results),
                    *(
                        columns.statistic((self.axis, self.write(value)), value, cells.percent)
                        for value in values
                    ),
                ],
                groups(data.assign(is_best=marks), ["pair", "method"], across="value"),
                data.rename(columns={"value": self.setting}),
            )
        ]

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield accuracy over the values, a panel for each pair and a line for each method."""
        points = self._means(results, entry)
        name, methods = files.section(entry), list(points["method"].unique())
        with_bars = has_bars(methods)
        spread = "Mean and standard deviation over seeds." if with_bars else "Mean over seeds."
        caption = f"{self.caption} {spread}"
        if points["n"].max() == 1:
            caption = of_one_seed(caption)
        if points.empty:
            yield ReportFigure(name, caption, panels.blank("There are no results."))
            return
        figure, grid = panels.of_pairs(results, pairs_of(results, points), (4.2, 2.6), (2.4, 2.1))
        for pair, panel in grid.items():
            of_pair = points[points["pair"] == pair]
            for method, line in of_pair.groupby("method", sort=False):
                style = styles[str(method)]
                panel.errorbar(
                    line["value"],
                    line["mean"],
                    yerr=line["std"] if with_bars else None,
                    color=style.colour,
                    ls=style.dash,
                    marker=style.marker,
                    lw=1,
                    capsize=2,
                )
            values = sorted(of_pair["value"].unique())
            panel.set_xticks(values, [self.write(value) for value in values])
        panels.name_axes([*grid.values()], self.axis, ACCURACY)
        panels.name_styles(figure, {results.labels[method]: styles[method] for method in methods})
        yield ReportFigure(name, caption, figure)

    def _means(self, results: Results, entry: str) -> pd.DataFrame:
        """Return n, mean, std and runs by pair, method and value, in the order of the report."""
        by = ["pair", "method", "value"]
        order = {"pair": [*results.pairs], "method": [*results.labels]}
        return seeds.over_runs(self._runs(results, entry), by, LAST).sort_values(
            by,
            key=lambda column: (
                column.map(order[column.name].index) if column.name in order else column
            ),
            kind="stable",
            ignore_index=True,
        )

    def _runs(self, results: Results, entry: str) -> pd.DataFrame:
        """Return the runs of the study with the ``value`` of what is varied."""
        runs = results.runs[results.runs["table"] == entry]
        values = [float(json.loads(variant)[self.setting]) for variant in runs["variant"]]
        return runs.assign(value=values)
