"""Sections of studies: accuracy of every method over one number that is varied."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.highlights import highlighted
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.points import has_bars
from distillery.reporting.figures.style import ACCURACY, FAINT, Styles
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

_MOST_LINES = 8
_HEIGHT, _HEIGHT_ALONE = 1.75, 2.3


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
                f"{self.caption} Mean ± standard deviation over seeds.",
                [
                    *columns.names(results),
                    *(
                        columns.statistic((self.axis, self.write(value)), value, cells.percent)
                        for value in values
                    ),
                ],
                groups(data.assign(is_best=marks), ["pair", "method"], across="value"),
                data.rename(columns={"value": self.setting}),
                notes=[bold_note(best, "method of each pair and column")],
            )
        ]

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield accuracy over the values, a panel for each pair and a line for each method."""
        points = self._means(results, entry)
        name, methods = files.section(entry), list(points["method"].unique())
        with_bars = has_bars(methods)
        bars = " with error bars of one standard deviation" if with_bars else ""
        caption = f"{self.caption} Mean over seeds{bars}."
        if points["n"].max() == 1:
            caption = of_one_seed(caption)
        if points.empty:
            yield ReportFigure(name, caption, panels.blank("There are no results."))
            return
        every = pairs_of(results, points)
        height = _HEIGHT_ALONE if len(every) == 1 else _HEIGHT
        pairs = layout.that_fit(every, height)
        figure, grid = panels.of_pairs(results, pairs, height)
        shown = highlighted(results, methods, styles, _MOST_LINES)
        caption += shown.note + layout.left_out(pairs, len(every), "pairs")
        for pair, panel in grid.items():
            of_pair = points[points["pair"] == pair]
            for method, line in of_pair.groupby("method", sort=False):
                style = shown.styles[str(method)]
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
        handles = [panels.style_key(label, styles[id_]) for id_, label in shown.labels.items()]
        if shown.faded:
            handles.append(panels.legend_key(f"{shown.faded} other methods", color=FAINT))
        panels.add_legend(figure, handles)
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
