"""What the tables of a report say; ``rendering`` and the page's template write them down."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from distillery.reporting import files, statistics
from distillery.reporting.formatting import (
    DASH,
    digits_for,
    duration,
    number,
    variant_text,
    whole,
)
from distillery.reporting.protocol_metrics import compared, means
from distillery.reporting.protocol_tables import NETWORK, OWN_COLUMNS, name_cells
from distillery.reporting.results import BEST, COST, LAST, TEACHER, Results, records
from distillery.reporting.sections import registry as sections
from distillery.reporting.table import (
    Cell,
    Table,
    flat_header,
    mean_cell,
    number_cell,
    runs_cell,
    setting_cell,
    split_keys,
)

_ACCURACY = "Test top-1 (%)"


def all_tables(results: Results) -> dict[str, Table]:
    """Return every table that is written as .csv, .md and .tex, by name."""
    tables = [main(results), teachers(results), evaluation(results)]
    tables += [ablation(results, name) for name in results.report["ablations"]]
    for entry, shown in results.report["sections"].items():
        tables += sections.load(shown["module"]).tables(results, entry)
    if results.report["timings"]:
        tables.append(cost(results))
    return {table.name: table for table in tables}


def main(results: Results) -> Table:
    """Return the comparison: methods down, pairs across."""
    students = results.summary.drop(index=TEACHER, level="method")
    best = students.groupby("pair")["mean"].transform(statistics.are_best)
    cells = {
        row.Index: mean_cell(row, strong=best.get(row.Index, False))
        for row in records(results.summary)
    }
    return Table(
        name="main",
        caption=(
            "Test top-1 accuracy (%) of the students at the last epoch, "
            f"{_over_seeds(students['n'])}. The best student of each pair is bold."
        ),
        header=(("Teacher", "Student"), *map(tuple, results.compared.values())),
        rows=tuple(
            (Cell(label), *(cells[pair, method] for pair in results.compared))
            for method, label in _method_labels(results).items()
        ),
        data=_main_data(results),
        references=1 + (results.baseline in results.methods),
        joint=" → ",
    )


def gains(results: Results) -> Table:
    """Return the comparison in long form: gains, best epochs and runs."""
    labels, data = _method_labels(results), _main_data(results)
    rows = [
        (
            Cell(str(results.pairs[row.pair])),
            Cell(labels[row.method]),
            mean_cell(row),
            number_cell(row.gain, row.runs, _signed),
            number_cell(row.best_epoch_mean, row.runs, number),
            runs_cell(row.runs),
        )
        for row in records(data)
    ]
    header = ("Pair", "Method", _ACCURACY, _gain(results), "Best epoch (%)", "Runs")
    return Table(
        name="gains",
        caption=(
            "Accuracy at the last epoch and its gain over the baseline. For comparison only: the "
            "mean over the best epochs of the runs, which were chosen by their test accuracy."
        ),
        header=flat_header(header),
        rows=tuple(rows),
        data=data,
        labels=2,
    )


def teachers(results: Results) -> Table:
    """Return the teachers with the accuracy of their last and, beside it, of their best epoch."""
    columns = ["title", "arch", "seed", LAST, BEST, "best_epoch", "epochs"]
    data = results.teachers[columns].assign(runs=results.teachers["key"])
    rows = [
        (
            Cell(row.title),
            number_cell(row.test_top1, row.runs, number),
            number_cell(row.best_test_top1, row.runs, number),
            number_cell(row.best_epoch, row.runs, whole),
            number_cell(row.epochs, row.runs, whole),
            runs_cell(row.runs),
        )
        for row in records(data)
    ]
    header = ("Teacher", _ACCURACY, "Best epoch’s top-1 (%)", "Best epoch", "Epochs", "Runs")
    return Table(
        name="teachers",
        caption="The teachers. Students learn from the network of the last epoch.",
        header=flat_header(header),
        rows=tuple(rows),
        data=data,
    )


def ablation(results: Results, name: str) -> Table:
    """Return an ablation: one row a variant."""
    study = results.ablation(name)
    summary = statistics.over_runs(study.runs, ["pair", "variant"], LAST)
    summary["gain"] = statistics.gain(summary, results.baselines)
    best = summary.groupby("pair")["mean"].transform(statistics.are_best)
    rows = [
        (
            *(setting_cell(study.variants[row.variant], axis) for axis in study.axes),
            mean_cell(row, strong=best[row.Index]),
            number_cell(row.gain, row.runs, _signed),
            runs_cell(row.runs),
        )
        for row in records(summary)
    ]
    settings = pd.DataFrame(
        [study.variants[variant] for variant in summary["variant"]], columns=list(study.axes)
    )
    each = "" if study.pair else " of each pair"
    return Table(
        name=files.ablation(name),
        caption=(
            f"{study.title} ({study.subject}). Test top-1 accuracy (%) at the last epoch, "
            f"{_over_seeds(summary['n'])}. The best variant{each} is bold."
        ),
        header=flat_header((*study.axes.values(), _ACCURACY, _gain(results), "Runs")),
        rows=tuple(rows),
        data=settings.join(summary[["n", "mean", "std", "gain", "runs"]]),
        labels=len(study.axes),
    )


def evaluation(results: Results) -> Table:
    """Return all metrics of the evaluation protocols, for teachers and students."""
    metrics = results.metrics
    data = means(compared(results), NETWORK, metrics)
    digits = data.groupby("metric")["mean"].agg(digits_for)
    rows = []
    for _, network in data.groupby(NETWORK, sort=False):
        cells = {row.metric: mean_cell(row, digits[row.metric]) for row in records(network)}
        rows.append(
            (
                *name_cells(results, *network[NETWORK].iloc[0]),
                *(cells.get(metric, Cell(DASH)) for metric in metrics),
                runs_cell(" ".join(network["runs"])),
            )
        )
    of_students = data[data["method"] != TEACHER]
    header = [("", "Pair"), ("", "Method"), *(tuple(name.split("/", 1)) for name in metrics)]
    return Table(
        name="evaluation",
        caption=(
            "Metrics of the evaluation protocols on the test set, for the networks of the last "
            f"epoch, {_over_seeds(of_students['n'])}."
        ),
        header=(*header, ("", "Runs")),
        rows=tuple(rows),
        data=data,
        labels=2,
    )


def cost(results: Results) -> Table:
    """Return what training took; numbers of different devices are kept apart."""
    writers = {"seconds": duration, "peak_memory_mb": whole, "images_per_second": whole}
    by = [*NETWORK, "device"]
    data = means(compared(results), by, writers)
    rows = []
    for _, network in data.groupby(by, sort=False, dropna=False):
        cells = {
            row.metric: number_cell(row.mean, row.runs, writers[row.metric])
            for row in records(network)
        }
        device = network["device"].iloc[0]
        rows.append(
            (
                *name_cells(results, *network[NETWORK].iloc[0]),
                Cell(DASH if pd.isna(device) else device),
                *(cells.get(measure, Cell(DASH)) for measure in writers),
                runs_cell(" ".join(network["runs"])),
            )
        )
    header = ("Pair", "Method", "Device", "Time", "Peak memory (MiB)", "Images/s", "Runs")
    return Table(
        name="cost",
        caption="What one training run took, mean over seeds.",
        header=flat_header(header),
        rows=tuple(rows),
        data=data,
        labels=3,
    )


def runs(results: Results) -> Table:
    """Return every run, in the order of the params file."""
    data = results.runs.rename(columns={"run": "location"})
    if not results.report["timings"]:
        data = data.drop(columns=list(COST))
    rows = [
        (
            Cell(row.table),
            *name_cells(results, row.pair, row.method, row.title),
            Cell(variant_text(row.variant, leave_out=OWN_COLUMNS)),
            Cell(str(row.seed), row.seed),
            number_cell(row.test_top1, row.key, number),
            number_cell(row.best_test_top1, row.key, number),
            Cell("yes" if row.adopted else ""),
            Cell(row.key, runs=split_keys(row.key), anchor=is_first),
        )
        for row, is_first in zip(records(data), ~data["key"].duplicated(), strict=True)
    ]
    header = ("Table", "Pair", "Method", "Setting", "Seed", "Last (%)", "Best (%)")
    return Table(
        name="runs",
        caption=(
            "Every run with its test top-1 accuracy at the last and at the best epoch. "
            "Its key ends the name of its folder."
        ),
        header=flat_header((*header, "Adopted", "Key")),
        rows=tuple(rows),
        data=data,
        labels=4,
    )


def _main_data(results: Results) -> pd.DataFrame:
    data = results.summary[results.summary["n"] > 0].reset_index()
    roles = {TEACHER: "teacher", results.baseline: "baseline"}
    names = {
        "pair": data["pair"],
        "teacher_arch": [results.pairs[pair].teacher for pair in data["pair"]],
        "student_arch": [results.pairs[pair].student for pair in data["pair"]],
        "role": [roles.get(method, "method") for method in data["method"]],
        "method": data["method"],
        "title": data["method"].map(_method_labels(results)),
    }
    numbers = ["n", "mean", "std", "gain", "best_epoch_mean", "runs"]
    return pd.DataFrame(names).join(data[numbers])


def _method_labels(results: Results) -> dict[str, str]:
    return {TEACHER: "Teacher", **results.methods}


def _gain(results: Results) -> str:
    return f"Gain over {results.methods.get(results.baseline, results.baseline)}"


def _signed(value: float) -> str:
    return number(value, sign=True)


def _over_seeds(counts: Iterable[int]) -> str:
    """Say what a cell is the mean of."""
    known = sorted({count for count in counts if count})
    if not known or known == [1]:
        return "of one run each"
    seeds = f"{known[0]}" if len(known) == 1 else f"{known[0]} to {known[-1]}"
    return f"mean ± standard deviation over {seeds} seeds"
