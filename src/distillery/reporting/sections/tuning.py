"""Section of the tuning: what was tried, what was selected, and by what margin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.positions import arrange
from distillery.reporting.figures.style import GREY, Style, Styles
from distillery.reporting.formatting import (
    axis_titles,
    counted,
    enumerated,
    signed,
    variant_text,
    whole,
)
from distillery.reporting.results.collected import Results, records
from distillery.reporting.results.trials import selections, trials
from distillery.reporting.sections.base import Section
from distillery.reporting.tables import cells, columns
from distillery.reporting.tables.building import build, each
from distillery.reporting.tables.columns import Column, Group
from distillery.reporting.tables.model import Cell, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_ACCURACY = "Held-out top-1 (%)"
_MEASURED = "accuracy on training images that were held out, none of them of the test set"
_ORDINARY = Style(GREY, "o", "none")
_SELECTED = Style("#c1272d", "*", "none")
_FAILED = Style(GREY, "x", "none")
_LARGE = 9


class Tuning(Section):
    """What was selected, all trials, and accuracy over each axis."""

    title = "Tuning"
    table_suffixes = ("", "trials")
    figure_suffixes = ()

    def remarks(self, results: Results, entry: str) -> list[str]:
        """Say how many trials each method had, above all if these are not equally many."""
        found = selections(trials(results, entry))
        if found.empty:
            return []
        budgets: dict[int, list[str]] = {}
        for method, rows in found.groupby("method", sort=False):
            label = results.labels.get(str(method), str(rows["title"].iloc[0]))
            budgets.setdefault(int(rows["trials"].max()), []).append(label)
        untuned = [
            label for id_, label in results.methods.items() if id_ not in set(found["method"])
        ]
        parts = [
            f"{counted(count, 'trial')} for {enumerated(labels)}"
            for count, labels in sorted(budgets.items(), reverse=True)
        ]
        if untuned:
            parts.append(f"none for {enumerated(untuned)}")
        is_equal = len(parts) == 1
        lead = "Tuned with equal budgets" if is_equal else "Unequal tuning budgets"
        text = f"{lead}: {'; '.join(parts)}. Settings were selected by {_MEASURED}."
        failed = int(found["failed"].sum())
        return [text + (f" {counted(failed, 'trial')} diverged." if failed else "")]

    def tables(self, results: Results, entry: str) -> list[Table]:
        """Return what was selected, and all trials."""
        tried = trials(results, entry)
        return [_selected(results, entry, tried), _tried(results, entry, tried)]

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield a figure for each tuned method, with a panel for each pair and axis."""
        tried, settings = trials(results, entry), results.report.sections.get(entry)
        for method in settings.figures if settings else self.figure_suffixes:
            of_method = tried[tried["method"] == method]
            title = of_method["title"].iloc[0] if len(of_method) else method
            label = results.labels.get(method, title)
            yield ReportFigure(
                files.section(entry, method),
                f"{label}: {_MEASURED}, of every trial over each setting that was varied; mean "
                "over seeds with error bars of one standard deviation. Other settings differ, too.",
                _draw(results, of_method),
            )


def _selected(results: Results, entry: str, tried: pd.DataFrame) -> Table:
    data = selections(tried)
    return build(
        files.section(entry),
        f"What was selected by {_MEASURED}, of all trials of a method, and how far it is ahead of "
        "the settings of the params file and of the second best trial. Of equal trials the first "
        "is selected. With few seeds a small margin may be chance.",
        [
            *_names(results),
            columns.label("Selected", lambda row: variant_text(row.settings)),
            columns.number("Trials", "trials", whole),
            columns.number("Failed", "failed", whole),
            Column(_ACCURACY, lambda group: cells.percent(group.names)),
            columns.number("Over the params file", "over_default", signed),
            columns.number("Over the second best", "over_second", signed),
        ],
        each(data),
        data,
        with_runs=False,
    )


def _tried(results: Results, entry: str, tried: pd.DataFrame) -> Table:
    return build(
        files.section(entry, "trials"),
        f"All trials: {_MEASURED}. Trial 1 has the settings of the params file; the selected one "
        "is bold. A trial with a run that diverged has failed.",
        [
            *_names(results),
            columns.label("Trial", lambda row: str(row.trial + 1)),
            columns.label("Setting", lambda row: variant_text(row.settings)),
            Column(_ACCURACY, _accuracy),
            Column("Failure", lambda group: Cell(group.names.failure)),
            # The table of runs, where keys are linked to, has no trials.
            Column("Keys", lambda group: Cell(group.runs)),
        ],
        each(tried.assign(is_best=tried["is_selected"])),
        tried,
        with_runs=False,
    )


def _names(results: Results) -> list[Column]:
    return [
        columns.label("Pair", lambda row: str(results.pairs[row.pair])),
        columns.label("Method", lambda row: results.labels.get(row.method, row.title)),
    ]


def _accuracy(group: Group) -> Cell:
    if group.names.failure:
        return Cell("failed", float("nan"), runs=cells.keys(group.runs))
    return cells.percent(group.names)


def _draw(results: Results, tried: pd.DataFrame) -> Any:
    """Return the figure of one method's trials."""
    if tried.empty:
        return panels.blank("There were no trials.")
    axes = list(dict.fromkeys(axis for text in tried["settings"] for axis in json.loads(text)))
    names, pairs = axis_titles(axes), list(tried["pair"].unique())
    figure, grid = panels.grid(len(pairs) * len(axes), 1.9)
    shown = iter(grid)
    for pair in pairs:
        of_pair = tried[tried["pair"] == pair].set_index("trial")
        for axis in axes:
            panel = next(shown)
            _draw_axis(panel, of_pair, axis)
            panel.set_xlabel(names[axis])
            if len(pairs) > 1:
                panels.set_title(panel, str(results.pairs[pair]))
    for number_, panel in enumerate(grid):
        panel.set_ylabel(_ACCURACY if number_ % _columns(panel) == 0 else "")
    panels.add_legend(figure, _keys(tried))
    return figure


def _columns(panel: Axes) -> int:
    return int(panel.get_gridspec().ncols)  # type: ignore[union-attr]


def _draw_axis(panel: Axes, tried: pd.DataFrame, axis: str) -> None:
    """Draw trials, indexed by their numbers, over the values of one setting."""
    values = {trial: json.loads(text)[axis] for trial, text in tried["settings"].items()}
    positions = arrange(panel, values).of
    for row in records(tried):
        style, size = (_SELECTED, _LARGE) if row.is_selected else (_ORDINARY, None)
        # The params file's own settings are hollow.
        fill = "white" if row.Index == 0 and not row.is_selected else style.colour
        if row.failure:
            # Where there is no accuracy, at the foot of the panel.
            foot = panel.get_xaxis_transform()
            panel.plot(
                positions[row.Index], 0.04, "x", color=_FAILED.colour, transform=foot, clip_on=False
            )
            continue
        panel.errorbar(
            positions[row.Index],
            row.mean,
            yerr=row.std,
            color=style.colour,
            marker=style.marker,
            ms=size,
            mfc=fill,
            capsize=2,
            zorder=3 if row.is_selected else 2,
        )


def _keys(tried: pd.DataFrame) -> list[Line2D]:
    """Return the legend of what is drawn of these trials."""
    is_failed, is_selected = tried["failure"] != "", tried["is_selected"].astype(bool)
    is_own = tried["trial"] == 0
    ordinary = {"ls": "none", "marker": _ORDINARY.marker, "color": _ORDINARY.colour}
    selected = {"ls": "none", "marker": _SELECTED.marker, "color": _SELECTED.colour, "ms": _LARGE}
    keys = [panels.legend_key("selected", **selected)]
    if (is_own & ~is_selected & ~is_failed).any():
        keys.append(panels.legend_key("params file", **ordinary, mfc="white"))
    if (~is_own & ~is_selected & ~is_failed).any():
        keys.append(panels.legend_key("trial", **ordinary))
    if is_failed.any():
        keys.append(panels.style_key("failed", _FAILED, line=False))
    return keys
