"""Section of the protocol ``deployment``: size, latency and accuracy of the exported networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.points import point_keys
from distillery.reporting.figures.style import ACCURACY, TEACHER_STYLE, Style, Styles
from distillery.reporting.formatting import natural, number
from distillery.reporting.results.collected import TEACHER, Results, records
from distillery.reporting.results.protocols import (
    compared,
    means,
    measured,
    of_pairs,
    pairs_of,
    points,
)
from distillery.reporting.sections.base import Section
from distillery.reporting.tables import cells, columns
from distillery.reporting.tables.building import NETWORK, build, count_teachers, groups
from distillery.reporting.tables.model import Cell, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = {"float": "32-bit floats", "int8": "8-bit integers"}
_COSTS = {"latency": ("ms", "Latency of one image (ms)"), "size": ("mb", "File size (MiB)")}
_HEIGHT, _HEIGHT_ALONE = 1.8, 2.5


class Deployment(Section):
    """Size, latency and accuracy of teachers and students, before and after quantisation."""

    title = "Deployment"
    figure_suffixes = tuple(_COSTS)

    def tables(self, results: Results, entry: str) -> list[Table]:
        """Return what was measured of both files of each network."""
        measures = [f"{kind}_{measure}" for kind in _KINDS for measure in _MEASURES]
        quartiles = [f"{kind}_ms_{quartile}" for kind in _KINDS for quartile in ("q1", "q3")]
        metrics = [*measures, "agreement", *quartiles, "largest_difference"]
        data = means(_networks(results, entry), NETWORK, metrics)
        return [
            build(
                files.section(entry),
                "The networks as ONNX files, in 32-bit floats and quantised to 8-bit integers: "
                "size, median time to classify one image on the CPU, test top-1 accuracy; how many "
                "times smaller and faster than the teacher in floats; and the share of test images "
                "that both files of a network agree on. Means over seeds.",
                [
                    *columns.names(results),
                    *(
                        columns.statistic((heading, name), f"{kind}_{measure}", cell)
                        for kind, heading in _KINDS.items()
                        for measure, (name, cell) in _MEASURES.items()
                    ),
                    columns.statistic("Agreement (%)", "agreement", cells.percent),
                ],
                groups(data, NETWORK),
                data,
                references=count_teachers(data),
            )
        ]

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield accuracy over latency and over size, a panel for each pair."""
        networks = measured(of_pairs(results), entry)
        for suffix in _COSTS:
            yield _comparison(results, entry, networks, styles, suffix)


def _times(value: float) -> str:
    return f"{number(value, 1)}×"


# Metric of a file -> heading and how its statistics become a cell.
_MEASURES: dict[str, tuple[str, Callable[[Any], Cell]]] = {
    "mb": ("Size (MiB)", cells.mean_as(natural)),
    "ms": ("Latency (ms)", cells.mean),
    "top1": ("Top-1 (%)", cells.percent),
    "smaller": ("Smaller", cells.mean_as(_times)),
    "faster": ("Faster", cells.mean_as(_times)),
}


def _networks(results: Results, entry: str) -> pd.DataFrame:
    """Return the measured teachers and students, and how they compare with their teachers."""
    networks = measured(compared(results), entry)
    if "float_mb" not in networks:
        return networks
    teachers = networks[networks["table"] == "teachers"].drop_duplicates("key").set_index("key")
    gains = {}
    for kind in _KINDS:
        for measure, gain in (("mb", "smaller"), ("ms", "faster")):
            reference = networks["teacher_key"].map(teachers[f"float_{measure}"])
            gains[f"{kind}_{gain}"] = reference / networks[f"{kind}_{measure}"]
    return networks.assign(**gains)


def _comparison(
    results: Results,
    entry: str,
    networks: pd.DataFrame,
    styles: Styles,
    suffix: str,
) -> ReportFigure:
    """Draw accuracy over a measure: a filled marker for floats, joined to an empty one for int8."""
    name, (measure, axis) = files.section(entry, suffix), _COSTS[suffix]
    caption = (
        f"Test top-1 accuracy beside {suffix}, of each network in 32-bit floats (filled) and in "
        "8-bit integers (empty): means over seeds."
    )
    found = _points(networks, measure)
    every = pairs_of(results, found)
    if not every:
        return ReportFigure(name, caption, panels.blank("No network was exported."))
    known = {TEACHER: TEACHER_STYLE, **styles}
    height = _HEIGHT_ALONE if len(every) == 1 else _HEIGHT
    pairs = layout.that_fit(every, height)
    figure, grid = panels.of_pairs(results, pairs, height)
    caption += layout.left_out(pairs, len(every), "pairs")
    for pair, panel in grid.items():
        for row in records(found[found["pair"] == pair]):
            _draw_network(panel, row, known[row.method])
        # Zero belongs to the picture: distances are then proportions.
        panel.set_xlim(left=0)
    panels.name_axes([*grid.values()], axis, ACCURACY)
    handles = point_keys(results, known, set(found["method"]))
    either = {"color": "black", "marker": "o", "ls": "none"}
    handles.append(panels.legend_key(_KINDS["float"], **either))
    handles.append(panels.legend_key(_KINDS["int8"], markerfacecolor="white", **either))
    panels.add_legend(figure, handles)
    return ReportFigure(name, caption, figure)


def _draw_network(panel: Axes, row: Any, style: Style) -> None:
    x, y = (row.mean_x_float, row.mean_x_int8), (row.mean_y_float, row.mean_y_int8)
    both = {"color": style.colour, "marker": style.marker, "ls": "none", "zorder": 3}
    panel.plot(x, y, color=style.colour, lw=0.7)
    panel.plot(x[0], y[0], **both)
    panel.plot(x[1], y[1], markerfacecolor="white", **both)


def _points(networks: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the means over seeds by pair and method, the teacher's in each of its pairs."""
    by = ["pair", "method"]
    floats, integers = (
        points(networks, by, f"{kind}_{measure}", f"{kind}_top1").set_index(by) for kind in _KINDS
    )
    return floats.join(integers, how="inner", lsuffix="_float", rsuffix="_int8").reset_index()
