"""Section of the protocol ``computation``: what training and running cost, beside accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting import files
from distillery.reporting.drawing import (
    ACCURACY,
    GREY,
    Drawing,
    Style,
    add_legend,
    blank,
    legend_key,
    name_axes,
    shades,
)
from distillery.reporting.formatting import (
    DASH,
    digits_for,
    number,
    variant_text,
    whole,
)
from distillery.reporting.pair_panels import (
    MOST_BARS,
    draw_point,
    pair_panels,
    point_keys,
)
from distillery.reporting.protocol_metrics import means, measured, pairs_of, points
from distillery.reporting.protocol_tables import NETWORK, OWN_COLUMNS, name_cells
from distillery.reporting.results import LAST, TEACHER, Results, records
from distillery.reporting.table import (
    Cell,
    Table,
    flat_header,
    mean_cell,
    number_cell,
    runs_cell,
    split_keys,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "Computation cost"
TABLES = ("", "networks")
FIGURES = ("time", "memory", "variants")

_COSTS = {
    "time": ("step_ms", "Time of a step (ms)"),
    "memory": ("step_memory_mb", "Peak memory (MiB)"),
}
# Networks that were measured on several devices have a point for each.
_VARIANT = ["table", "pair", "method", "variant", "device"]
_NAMES = ["table", "pair", "method", "title", "variant", "device"]
_STEP = ("step_ms", "step_ms_q1", "step_ms_q3")
_TRAINING = {
    **dict.fromkeys(_STEP, "Step (ms)"),
    "teacher_ms": "of it teacher (ms)",
    "loss_ms": "of it method (ms)",
    "step_memory_mb": "Peak memory (MiB)",
    "loss_flops": "Method’s FLOPs (M)",
    "method_parameters": "Method’s parameters",
    "method_state_mb": "Method’s state (MiB)",
    LAST: ACCURACY,
}


def tables(results: Results, entry: str) -> list[Table]:
    """Return what a training step of each student costs, and what running each network does."""
    networks = _networks(results, entry)
    return [_of_training(results, entry, networks), _of_networks(entry, networks)]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield accuracy over time and over memory, and what the variants of ablations cost."""
    networks = _networks(results, entry)
    for suffix in _COSTS:
        yield _comparison(results, entry, networks, looks, suffix)
    yield _variants(results, entry, networks, looks)


def _networks(results: Results, entry: str) -> pd.DataFrame:
    """Return the measured networks with the device that they were measured on."""
    about = ["run", "teacher_key"]
    details = results.details(entry).reindex(columns=[*about, "device"]).drop_duplicates(about)
    return measured(results.runs, entry).merge(details, on=about, how="left")


def _of_training(results: Results, entry: str, networks: pd.DataFrame) -> Table:
    students = networks[networks["method"] != TEACHER]
    extra = ("student_ms", "student_memory_mb", "step_flops", "batch_size")
    data = means(students, _NAMES, [*_TRAINING, *extra])
    has_settings = bool((data["variant"] != "{}").any())
    names = ["Pair", "Method", *(["Setting"] if has_settings else []), "Device"]
    columns = list(dict.fromkeys(_TRAINING.values()))
    rows = []
    for _, network in data.groupby(_NAMES, sort=False, dropna=False):
        first = network.iloc[0]
        settings = (
            [Cell(variant_text(first["variant"], leave_out=OWN_COLUMNS))] if has_settings else []
        )
        rows.append(
            (
                *name_cells(results, *network[NETWORK].iloc[0]),
                *settings,
                Cell(DASH if pd.isna(first["device"]) else first["device"]),
                *_cost_cells({row.metric: row for row in records(network)}),
                runs_cell(" ".join(network["runs"])),
            )
        )
    sizes = sorted({int(size) for size in students.get("batch_size", ())})
    return Table(
        name=files.section(entry, ""),
        caption=(
            f"What a training step costs ({_batches(sizes)}): median time with the quartiles of "
            "single steps in brackets, the part of it that is the teacher’s and the part that the "
            "method adds to a student’s step with cross-entropy alone, all as means over seeds. "
            "FLOPs are those of convolutions and matrix products, multiplications and additions "
            "apart."
        ),
        header=flat_header((*names, *columns, "Runs")),
        rows=tuple(rows),
        data=data,
        labels=len(names),
    )


def _cost_cells(found: Mapping[str, Any]) -> list[Cell]:
    """Return the cells of a student's costs: rows of statistics by metric."""
    cells = [_step_cell(found)]
    for metric in [*_TRAINING][len(_STEP) :]:
        row = found.get(metric)
        if row is None:
            cells.append(Cell(DASH))
        elif metric == LAST:
            cells.append(mean_cell(row))
        elif metric == "method_parameters":
            cells.append(number_cell(row.mean, row.runs, whole))
        else:
            value = row.mean / 1e6 if metric == "loss_flops" else row.mean
            cells.append(number_cell(value, row.runs, _short))
    return cells


def _step_cell(found: Mapping[str, Any]) -> Cell:
    if not all(name in found for name in _STEP):
        return Cell(DASH)
    middle, low, high = (found[name].mean for name in _STEP)
    digits = digits_for([middle])
    text = f"{number(middle, digits)} ({number(low, digits)}–{number(high, digits)})"
    return Cell(text, middle, runs=split_keys(found["step_ms"].runs))


def _of_networks(entry: str, networks: pd.DataFrame) -> Table:
    # One architecture is another network for images of another size or number of channels.
    by = ["arch", "device", "parameters", "flops", "batch_size"]
    # A network that stands in several tables was measured once.
    data = means(
        networks.reindex(columns=[*networks.columns.union(by)]).drop_duplicates("key"),
        by,
        ("image_ms", "batch_ms"),
    )
    rows = []
    for _, network in data.groupby(by, sort=False, dropna=False):
        arch, device, parameters, flops, size = network[by].iloc[0]
        found = {row.metric: row for row in records(network)}
        runs = found["image_ms"].runs
        rows.append(
            (
                Cell(arch),
                Cell(DASH if pd.isna(device) else device),
                number_cell(parameters / 1e6, runs, _short),
                number_cell(flops / 1e6, runs, _short),
                mean_cell(found["image_ms"], digits_for([found["image_ms"].mean])),
                mean_cell(found["batch_ms"], digits_for([found["batch_ms"].mean])),
                number_cell(size, runs, whole),
                runs_cell(" ".join(network["runs"])),
            )
        )
    header = (
        *("Network", "Device", "Parameters (M)", "FLOPs (M)", "One image (ms)", "Batch (ms)"),
        "Images a batch",
    )
    return Table(
        name=files.section(entry, "networks"),
        caption=(
            "What running a network costs: FLOPs of one image, and the median time to classify "
            "one image and a batch, mean ± standard deviation over the networks of an "
            "architecture."
        ),
        header=flat_header((*header, "Runs")),
        rows=tuple(rows),
        data=data,
        labels=2,
    )


def _comparison(
    results: Results,
    entry: str,
    networks: pd.DataFrame,
    looks: Mapping[str, Style],
    suffix: str,
) -> Drawing:
    """Draw accuracy over a cost, a panel for each pair and a point for each method."""
    name, (metric, axis) = files.section(entry, suffix), _COSTS[suffix]
    has_bars = len(results.methods) <= MOST_BARS
    caption = (
        f"Test top-1 accuracy at the last epoch beside the {suffix} of a training step: mean "
        f"{'and standard deviation ' if has_bars else ''}over seeds."
    )
    found = points(networks[networks["table"] == "main"], _VARIANT, metric, LAST)
    pairs = pairs_of(results, found)
    if not pairs:
        return Drawing(name, caption, blank("No training step was measured."))
    figure, grid = pair_panels(results, pairs, (4.2, 2.8), (2.4, 2.1))
    for pair, panel in grid.items():
        for row in records(found[found["pair"] == pair]):
            draw_point(panel, row, looks[row.method], has_bars=has_bars)
    name_axes([*grid.values()], axis, ACCURACY)
    add_legend(figure, point_keys(results.methods, looks, set(found["method"])))
    return Drawing(name, caption, figure)


def _variants(
    results: Results, entry: str, networks: pd.DataFrame, looks: Mapping[str, Style]
) -> Drawing:
    """Draw accuracy over time for the variants of all ablations, a panel for each pair."""
    name, (metric, axis) = files.section(entry, "variants"), _COSTS["time"]
    caption = (
        "Test top-1 accuracy at the last epoch beside the time of a training step, for the "
        "variants of the ablations: means over seeds. The dotted line is the baseline."
    )
    varied = networks[~networks["table"].isin(["main", "teachers"])]
    found = points(varied, _VARIANT, metric, LAST)
    pairs = pairs_of(results, found)
    if not pairs:
        return Drawing(name, caption, blank("No variants of an ablation were measured."))
    figure, grid = pair_panels(results, pairs, (5.2, 3.2), (3.0, 2.4))
    lines = _lines_of(results, found, looks)
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
    name_axes([*grid.values()], axis, ACCURACY)
    handles = [
        legend_key(label, color=look.colour, marker=look.marker, ls=look.dash)
        for label, look in lines.values()
    ]
    if len(results.baselines):
        handles.append(legend_key(results.baseline_label, ls=":"))
    add_legend(figure, handles)
    return Drawing(name, caption, figure)


def _lines_of(
    results: Results, found: pd.DataFrame, looks: Mapping[str, Style]
) -> dict[tuple[str, str], tuple[str, Style]]:
    """Return label and look for each ablation of each method, which has shades of one colour."""
    lines = {}
    for method, of_method in found.groupby("method", sort=False):
        tables = list(of_method["table"].unique())
        for table, shade in zip(tables, shades(looks[str(method)], len(tables)), strict=True):
            axes = results.ablation(table).axes
            names = [short for axis, short in axes.items() if axis not in OWN_COLUMNS]
            lines[table, str(method)] = f"{results.labels[str(method)]}: {', '.join(names)}", shade
    return lines


def _draw_line(panel: Axes, line: pd.DataFrame, look: Style) -> None:
    panel.plot(
        line["mean_x"], line["mean_y"], color=look.colour, marker=look.marker, ls=look.dash, lw=1
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


def _batches(sizes: list[int]) -> str:
    return f"batches of {' or '.join(map(str, sizes)) or 'no'} images"


def _short(value: float) -> str:
    return number(value, digits_for([value]))
