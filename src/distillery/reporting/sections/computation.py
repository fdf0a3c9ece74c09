"""Section of the protocol ``computation``: what training and running cost, beside accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.points import draw_points, spread_of
from distillery.reporting.figures.style import ACCURACY, GREY, Style, Styles, shades
from distillery.reporting.formatting import DASH, digits_for, natural, number, variant_text, whole
from distillery.reporting.results.collected import LAST, TEACHER, Results, records
from distillery.reporting.results.protocols import means, measured, pairs_of, points
from distillery.reporting.sections.base import Section
from distillery.reporting.tables import cells, columns
from distillery.reporting.tables.building import build, groups
from distillery.reporting.tables.columns import OWN_COLUMNS, Column, Group
from distillery.reporting.tables.model import Cell, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COSTS = {
    "time": ("step_ms", "Time of a step (ms)"),
    "memory": ("step_memory_mb", "Peak memory (MiB)"),
}
# Networks that were measured on several devices have a point for each.
_VARIANT = ["table", "pair", "method", "variant", "device"]
_STUDENT = ["table", "pair", "method", "title", "variant", "device"]
# One architecture is another network for images of another size or number of channels.
_ARCHITECTURE = ["arch", "device", "parameters", "flops", "batch_size"]
# Of a panel of the variants, in inches.
_HEIGHT = 2.4
_STEP = ("step_ms", "step_ms_q1", "step_ms_q3")
_MILLION = 1e6
_TRAINING = [
    columns.statistic("of it teacher (ms)", "teacher_ms", cells.mean_as(natural)),
    columns.statistic("of it method (ms)", "loss_ms", cells.mean_as(natural)),
    columns.statistic("Peak memory (MiB)", "step_memory_mb", cells.mean_as(natural)),
    columns.statistic("Method’s FLOPs (M)", "loss_flops", cells.mean_as(natural, _MILLION)),
    columns.statistic("Method’s parameters", "method_parameters", cells.mean_as(whole)),
    columns.statistic("Method’s state (MiB)", "method_state_mb", cells.mean_as(natural)),
    columns.statistic(ACCURACY, LAST, cells.percent),
]
_TRAINING_METRICS = (
    *_STEP,
    *("teacher_ms", "loss_ms", "step_memory_mb", "loss_flops", "method_parameters"),
    *("method_state_mb", LAST, "student_ms", "student_memory_mb", "step_flops", "batch_size"),
)


class Computation(Section):
    """What a training step of each student costs, and what running each network does."""

    title = "Computation cost"
    table_suffixes = ("", "networks")
    figure_suffixes = (*_COSTS, "variants")

    def tables(self, results: Results, entry: str) -> list[Table]:
        """Return the costs of training by student, and those of running by architecture."""
        networks = _networks(results, entry)
        return [_of_training(results, entry, networks), _of_networks(entry, networks)]

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield accuracy over time and over memory, and what the variants of ablations cost."""
        networks = _networks(results, entry)
        for suffix, (metric, axis) in _COSTS.items():
            yield draw_points(
                results,
                files.section(entry, suffix),
                f"Test top-1 accuracy at the last epoch beside the {suffix} of a training step: "
                f"{spread_of(results)}.",
                points(networks[networks["table"] == "main"], _VARIANT, metric, LAST),
                (axis, ACCURACY),
                styles,
                "No training step was measured.",
            )
        yield _variants(results, entry, networks, styles)


def _networks(results: Results, entry: str) -> pd.DataFrame:
    """Return the measured networks with the device that they were measured on."""
    about = ["run", "teacher_key"]
    details = results.details(entry).reindex(columns=[*about, "device"]).drop_duplicates(about)
    return measured(results.runs, entry).merge(details, on=about, how="left")


def _of_training(results: Results, entry: str, networks: pd.DataFrame) -> Table:
    students = networks[networks["method"] != TEACHER]
    data = means(students, _STUDENT, _TRAINING_METRICS)
    has_settings = bool((data["variant"] != "{}").any())
    sizes = sorted({int(size) for size in students.get("batch_size", ())})
    batches = f"batches of {' or '.join(map(str, sizes)) or 'no'} images"
    return build(
        files.section(entry),
        f"What a training step costs ({batches}): median time with the quartiles of single steps "
        "in brackets, the part of it that is the teacher’s and the part that the method adds to a "
        "student’s step with cross-entropy alone, all as means over seeds. FLOPs are those of "
        "convolutions and matrix products, multiplications and additions apart.",
        [
            *columns.names(results),
            *([columns.setting()] if has_settings else []),
            columns.device(),
            Column("Step (ms)", _step_cell),
            *_TRAINING,
        ],
        groups(data, _STUDENT),
        data,
    )


def _step_cell(group: Group) -> Cell:
    """Return the cell of the median time of a step, with its quartiles in brackets."""
    if not all(name in group.statistics for name in _STEP):
        return Cell(DASH)
    middle, low, high = (group.statistics[name].mean for name in _STEP)
    digits = digits_for([middle])
    text = f"{number(middle, digits)} ({number(low, digits)}–{number(high, digits)})"
    return Cell(text, middle, runs=cells.keys(group.statistics["step_ms"].runs))


def _of_networks(entry: str, networks: pd.DataFrame) -> Table:
    # A network that stands in several tables was measured once.
    once = networks.drop_duplicates("key")
    once = once.reindex(columns=[*networks.columns.union(_ARCHITECTURE)])
    data = means(once, _ARCHITECTURE, ("image_ms", "batch_ms"))
    return build(
        files.section(entry, "networks"),
        "What running a network costs: FLOPs of one image, and the median time to classify "
        "one image and a batch, mean ± standard deviation over the networks of an "
        "architecture.",
        [
            columns.label("Network", lambda row: str(row.arch)),
            columns.device(),
            columns.number("Parameters (M)", "parameters", natural, _MILLION),
            columns.number("FLOPs (M)", "flops", natural, _MILLION),
            columns.statistic("One image (ms)", "image_ms", cells.mean),
            columns.statistic("Batch (ms)", "batch_ms", cells.mean),
            columns.number("Images a batch", "batch_size", whole),
        ],
        groups(data, _ARCHITECTURE),
        data,
    )


def _variants(results: Results, entry: str, networks: pd.DataFrame, styles: Styles) -> ReportFigure:
    """Draw accuracy over time for the variants of all ablations, a panel for each pair."""
    name, (metric, axis) = files.section(entry, "variants"), _COSTS["time"]
    caption = (
        "Test top-1 accuracy at the last epoch beside the time of a training step, for the "
        "variants of the ablations: means over seeds. The dotted line is the baseline."
    )
    varied = networks[~networks["table"].isin(["main", "teachers"])]
    found = points(varied, _VARIANT, metric, LAST)
    every = pairs_of(results, found)
    if not every:
        return ReportFigure(name, caption, panels.blank("No variants were measured."))
    pairs = layout.that_fit(every, _HEIGHT)
    figure, grid = panels.of_pairs(results, pairs, _HEIGHT, wide=True)
    caption += layout.left_out(pairs, len(every), "pairs")
    lines = _lines_of(results, found, styles)
    for pair, panel in grid.items():
        of_pair = found[found["pair"] == pair]
        for (table, method, _), line in of_pair.groupby(
            ["table", "method", "device"], sort=False, dropna=False
        ):
            _draw_line(panel, line, lines[str(table), str(method)][1])
        if pair in results.baselines:
            panel.axhline(results.baselines[pair], color=GREY, ls=":", lw=1, zorder=1)
        # Room for the settings beside the outermost points.
        panel.margins(0.12, 0.12)
    panels.name_axes([*grid.values()], axis, ACCURACY)
    handles = [panels.style_key(label, style) for label, style in lines.values()]
    if len(results.baselines):
        handles.append(panels.legend_key(results.baseline_label, ls=":"))
    panels.add_legend(figure, handles)
    return ReportFigure(name, caption, figure)


def _lines_of(
    results: Results, found: pd.DataFrame, styles: Styles
) -> dict[tuple[str, str], tuple[str, Style]]:
    """Return label and style for each ablation of each method, which has shades of one colour."""
    lines = {}
    for method, of_method in found.groupby("method", sort=False):
        tables = list(of_method["table"].unique())
        for table, shade in zip(tables, shades(styles[str(method)], len(tables)), strict=True):
            axes = results.ablation(table).axes
            names = [short for axis, short in axes.items() if axis not in OWN_COLUMNS]
            lines[table, str(method)] = f"{results.labels[str(method)]}: {', '.join(names)}", shade
    return lines


def _draw_line(panel: Axes, line: pd.DataFrame, style: Style) -> None:
    panel.plot(
        line["mean_x"], line["mean_y"], color=style.colour, marker=style.marker, ls=style.dash, lw=1
    )
    for row in records(line):
        panel.annotate(
            variant_text(row.variant, named=False, leave_out=OWN_COLUMNS),
            (row.mean_x, row.mean_y),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize="small",
            color=GREY,
        )
