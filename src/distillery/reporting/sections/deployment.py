"""Section of the protocol ``deployment``: size, latency and accuracy of the exported networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting import files
from distillery.reporting.drawing import (
    ACCURACY,
    Drawing,
    Style,
    add_legend,
    blank,
    legend_key,
    name_axes,
)
from distillery.reporting.formatting import DASH, digits_for, number
from distillery.reporting.pair_panels import pair_panels, point_keys
from distillery.reporting.protocol_metrics import compared, means, measured, of_pairs, pairs_of
from distillery.reporting.protocol_tables import NETWORK, count_teachers, name_cells
from distillery.reporting.results import TEACHER, Results, records
from distillery.reporting.table import Cell, Table, mean_cell, number_cell, runs_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "Deployment"
TABLES = ("",)
FIGURES = ("latency", "size")

_KINDS = {"float": "32-bit floats", "int8": "8-bit integers"}
_MEASURES = {
    "mb": "Size (MiB)",
    "ms": "Latency (ms)",
    "top1": "Top-1 (%)",
    "smaller": "Smaller",
    "faster": "Faster",
}
_COSTS = {"latency": ("ms", "Latency of one image (ms)"), "size": ("mb", "File size (MiB)")}
# A star would be too small to be seen empty.
_TEACHER_LOOK = Style("black", "D", "-")


def tables(results: Results, entry: str) -> list[Table]:
    """Return size, latency and accuracy of teachers and students, before and after quantisation."""
    networks = _networks(results, entry)
    metrics = [f"{kind}_{measure}" for kind in _KINDS for measure in _MEASURES]
    extra = [f"{kind}_ms_{quartile}" for kind in _KINDS for quartile in ("q1", "q3")]
    data = means(networks, NETWORK, [*metrics, "agreement", *extra, "largest_difference"])
    rows = []
    for _, network in data.groupby(NETWORK, sort=False):
        found = {row.metric: row for row in records(network)}
        rows.append(
            (
                *name_cells(results, *network[NETWORK].iloc[0]),
                *(_cell(found, metric) for metric in (*metrics, "agreement")),
                runs_cell(" ".join(network["runs"])),
            )
        )
    measures = [(label, name) for label in _KINDS.values() for name in _MEASURES.values()]
    return [
        Table(
            name=files.section(entry),
            caption=(
                "The networks as ONNX files, in 32-bit floats and quantised to 8-bit integers: "
                "size, median time to classify one image on the CPU, test top-1 accuracy; how many "
                "times smaller and faster than the teacher in floats; and the share of test images "
                "that both files of a network agree on. Means over seeds."
            ),
            header=(("", "Pair"), ("", "Method"), *measures, ("", "Agreement (%)"), ("", "Runs")),
            rows=tuple(rows),
            data=data,
            labels=2,
            references=count_teachers(data),
        )
    ]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield accuracy over latency and over size, a panel for each pair."""
    networks = measured(of_pairs(results), entry)
    for suffix in _COSTS:
        yield _comparison(results, entry, networks, looks, suffix)


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


def _cell(found: Mapping[str, Any], metric: str) -> Cell:
    row = found.get(metric)
    if row is None:
        return Cell(DASH)
    if metric.endswith(("smaller", "faster")):
        return number_cell(row.mean, row.runs, lambda value: f"{number(value, 1)}×")
    if metric.endswith("_mb"):
        return number_cell(row.mean, row.runs, lambda value: number(value, digits_for([value])))
    return mean_cell(row, 2 if metric.endswith(("top1", "agreement")) else digits_for([row.mean]))


def _comparison(
    results: Results,
    entry: str,
    networks: pd.DataFrame,
    looks: Mapping[str, Style],
    suffix: str,
) -> Drawing:
    """Draw accuracy over a measure: a filled marker for floats, joined to an empty one for int8."""
    name, (measure, axis) = files.section(entry, suffix), _COSTS[suffix]
    caption = (
        f"Test top-1 accuracy beside {suffix}, of each network in 32-bit floats (filled) and in "
        "8-bit integers (empty): means over seeds."
    )
    found = _points(networks, measure)
    pairs = pairs_of(results, found)
    if not pairs:
        return Drawing(name, caption, blank("No network was exported."))
    shown = {TEACHER: _TEACHER_LOOK, **looks}
    figure, grid = pair_panels(results, pairs, (4.2, 2.8), (2.4, 2.1))
    for pair, panel in grid.items():
        for row in records(found[found["pair"] == pair]):
            _draw_network(panel, row, shown[row.method])
        # Zero belongs to the picture: distances are then proportions.
        panel.set_xlim(left=0)
    name_axes([*grid.values()], axis, ACCURACY)
    handles = point_keys({TEACHER: "Teacher", **results.labels}, shown, set(found["method"]))
    either = {"color": "black", "marker": "o", "ls": "none"}
    handles.append(legend_key(_KINDS["float"], **either))
    handles.append(legend_key(_KINDS["int8"], markerfacecolor="white", **either))
    add_legend(figure, handles)
    return Drawing(name, caption, figure)


def _draw_network(panel: Axes, row: Any, look: Style) -> None:
    look_of_both = {"color": look.colour, "marker": look.marker}
    panel.plot([row.x_float, row.x_int8], [row.y_float, row.y_int8], color=look.colour, lw=0.7)
    panel.plot(row.x_float, row.y_float, ls="none", zorder=3, **look_of_both)
    panel.plot(row.x_int8, row.y_int8, ls="none", zorder=3, markerfacecolor="white", **look_of_both)


def _points(networks: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the means over seeds by pair and method, the teacher's in each of its pairs."""
    columns = {
        f"{axis}_{kind}": f"{kind}_{metric}"
        for kind in _KINDS
        for axis, metric in (("x", measure), ("y", "top1"))
    }
    every = networks.reindex(columns=["pair", "method", *columns.values()])
    every = every.rename(columns={source: name for name, source in columns.items()})
    found = every.groupby(["pair", "method"], sort=False)[[*columns]].mean()
    return found.dropna().reset_index()
