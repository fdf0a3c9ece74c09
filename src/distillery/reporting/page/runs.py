"""All runs as data of the page: a script shows, sorts and filters them, and opens one on demand.

At ten thousand runs a table in HTML would take seconds to lay out; so would settings that stand
there once for each run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from distillery.reporting.page.templating import script_data
from distillery.reporting.results.collected import LAST, Results
from distillery.reporting.tables.model import Cell, Table

# A curve has no more points than a small picture can show.
_POINTS = 60
_COSTS = {
    "seconds": "Training time (s)",
    "images_per_second": "Images per second",
    "peak_memory_mb": "Peak memory (MiB)",
}
_MADE = ("commit", "dirty", "processor", "device", "versions")


def runs_data(results: Results, table: Table) -> str:
    """Return the runs as JSON that can stand inside a script element.

    Args:
        results: what the report is about.
        table: ``standard.runs`` of them; its rows are the rows here.

    Keys: ``heads`` and ``columns`` (each with its distinct texts, ``order`` for numbers, and an
    index a row; the last is that of the key), ``labels`` (how many columns name the row),
    ``places`` (run of each row), ``params``, and by run ``names``, ``started``, ``curves`` (place
    in ``epochs``, then accuracies), ``costs`` (by their headings), and ``settings`` and ``made``,
    which are places in ``kinds`` and ``makers``.
    """
    runs = results.runs["run"]
    distinct = list(dict.fromkeys(runs))
    number = {run: place for place, run in enumerate(distinct)}
    content = {
        "heads": [heading[-1] for heading in table.header],
        "labels": table.labels,
        "columns": [
            _column([row[place] for row in table.rows]) for place in range(len(table.header))
        ],
        "places": [number[run] for run in runs],
        "params": results.report.params,
        **_by_run(results, distinct),
    }
    return script_data(content)


def _column(cells: list[Cell]) -> dict[str, Any]:
    """Return the distinct texts of a column, what they are sorted by, and an index for each row."""
    places: dict[tuple[str, float | None], int] = {}
    index = [places.setdefault((cell.text, _sortable(cell.order)), len(places)) for cell in cells]
    column: dict[str, Any] = {"texts": [text for text, _ in places], "index": index}
    if any(order is not None for _, order in places):
        column["order"] = [order for _, order in places]
    return column


def _sortable(order: float | None) -> float | None:
    return None if order is None or math.isnan(order) else order


def _by_run(results: Results, runs: list[str]) -> dict[str, Any]:
    """Return what is known of each run, in the order of ``runs``."""
    first = results.runs.drop_duplicates("run").set_index("run").loc[runs]
    made = results.made.drop_duplicates("run").set_index("run").reindex(runs)
    kinds, makers = _Kinds(_without_seed), _Kinds(json.loads)
    about = made[[*_MADE]].astype(object).where(made[[*_MADE]].notna(), None)
    content: dict[str, Any] = {
        "names": runs,
        "settings": [kinds.place(text) for text in made["settings"]],
        "made": [makers.place(json.dumps(row)) for row in about.to_dict("records")],
        "started": [str(text)[:16] for text in made["started"]],
        "kinds": kinds.values,
        "makers": makers.values,
        **_curves(results, runs),
        "costs": {},
    }
    if results.report.timings:
        costs = first[[*_COSTS]].astype(object).where(first[[*_COSTS]].notna(), None)
        content["costs"] = {text: list(costs[name]) for name, text in _COSTS.items()}
    return content


class _Kinds:
    """Texts that many runs share, each once."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self.values: list[Any] = []
        self._parse = parse
        self._places: dict[str, int] = {}
        self._known: dict[str, int] = {}

    def place(self, text: Any) -> int | None:
        """Return the place of a text among the values; None if there is none."""
        if not isinstance(text, str):
            return None
        if text not in self._places:
            value = self._parse(text)
            known = json.dumps(value, sort_keys=True)
            if known not in self._known:
                self._known[known] = len(self.values)
                self.values.append(value)
            self._places[text] = self._known[known]
        return self._places[text]


def _without_seed(text: str) -> dict[str, Any]:
    """Return settings without what each seed has of its own."""
    return {name: value for name, value in json.loads(text).items() if name != "seed"}


def _curves(results: Results, runs: list[str]) -> dict[str, Any]:
    """Return the accuracies of each run, thinned out, and the epochs, which most runs share."""
    proper = results.curves[results.curves["phase"] == "train"].dropna(subset=[LAST])
    known = {
        run: (rows["epoch"].to_numpy(), rows[LAST].to_numpy())
        for run, rows in proper.groupby("run", sort=False)
    }
    places: dict[tuple[int, ...], int] = {}
    curves: list[list[float] | None] = []
    for run in runs:
        if run not in known:
            curves.append(None)
            continue
        epochs, accuracies = map(_thinned, known[run])
        place = places.setdefault(tuple(epochs), len(places))
        curves.append([place, *(round(accuracy, 1) for accuracy in accuracies)])
    return {"epochs": [*places], "curves": curves}


def _thinned(values: np.ndarray) -> list[Any]:
    """Return some of the values, (n,), with even gaps; the last is among them."""
    step = max(1, math.ceil(len(values) / _POINTS))
    thinned: list[Any] = values[::-1][::step][::-1].tolist()
    return thinned
