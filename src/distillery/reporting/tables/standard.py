"""The tables that every report has: the comparison, teachers, ablations, evaluation, cost, runs."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pandas as pd

from distillery.reporting import files
from distillery.reporting.formatting import axis_title, duration, number, signed, whole
from distillery.reporting.results.collected import BEST, COST, LAST, TEACHER, Results
from distillery.reporting.results.comparisons import best_methods, best_variants, gain_intervals
from distillery.reporting.results.protocols import compared, means
from distillery.reporting.results.settings import with_settings
from distillery.reporting.statistics import seeds
from distillery.reporting.statistics.paired import half_width
from distillery.reporting.statistics.rounding import significant
from distillery.reporting.tables import cells, columns
from distillery.reporting.tables.building import NETWORK, build, each, groups
from distillery.reporting.tables.columns import Column
from distillery.reporting.tables.model import Cell, Table

_ACCURACY = "Test top-1 (%)"
_MEAN_ACCURACY = Column(_ACCURACY, lambda group: cells.percent(group.names))


def main(results: Results) -> Table:
    """Return the comparison: methods down, pairs across."""
    is_student = results.summary.index.get_level_values("method") != TEACHER
    students = results.summary[is_student]
    best = best_methods(results)
    marks = best.reindex(results.summary.index, fill_value=False)
    labels = _method_labels(results)
    return build(
        "main",
        f"Test top-1 accuracy (%) of the students at the last epoch, {_over_seeds(students['n'])}.",
        [
            columns.label(("Teacher", "Student"), lambda row: labels[row.method]),
            *(
                columns.statistic(tuple(names), pair, cells.percent)
                for pair, names in results.compared.items()
            ),
        ],
        groups(results.summary.assign(is_best=marks).reset_index(), ["method"], across="pair"),
        _main_data(results),
        references=1 + (results.baseline in results.methods),
        joint=" → ",
        notes=[bold_note(best, "student of each pair")],
        with_runs=False,
    )


def gains(results: Results) -> Table:
    """Return the comparison in long form: gains, best epochs and runs."""
    labels, data = _method_labels(results), _main_data(results)
    return build(
        "gains",
        "Accuracy at the last epoch and its gain over the baseline, with 95 % intervals (t) of the "
        "mean and of the paired difference, from three seeds on.",
        [
            columns.label("Pair", lambda row: str(results.pairs[row.pair])),
            columns.label("Method", lambda row: labels[row.method]),
            _MEAN_ACCURACY,
            columns.interval("95 % interval", "low", "high"),
            _gain(results),
            columns.interval("95 % interval of the gain", "gain_low", "gain_high", sign=True),
            columns.number("Best epoch (%)", "best_epoch_mean", number),
        ],
        each(data),
        data,
        notes=[
            "For comparison only: the mean over the best epochs of the runs, which were chosen by "
            "their test accuracy."
        ],
    )


def teachers(results: Results) -> Table:
    """Return the teachers with the accuracy of their last and, beside it, of their best epoch."""
    kept = ["title", "arch", "seed", LAST, BEST, "best_epoch", "epochs"]
    data = results.teachers[kept].assign(runs=results.teachers["key"])
    return build(
        "teachers",
        "The teachers. Students learn from the network of the last epoch.",
        [
            columns.label("Teacher", lambda row: str(row.title)),
            columns.number(_ACCURACY, LAST, number),
            columns.number("Best epoch’s top-1 (%)", BEST, number),
            columns.number("Best epoch", "best_epoch", whole),
            columns.number("Epochs", "epochs", whole),
        ],
        each(data),
        data,
    )


def ablation(results: Results, name: str) -> Table:
    """Return an ablation: one row a variant."""
    study = results.ablation(name)
    summary = seeds.over_runs(study.runs, ["pair", "variant"], LAST)
    summary["gain"] = seeds.gain(summary, results.baselines)
    best = best_variants(results, name)
    marks = best.reindex(pd.MultiIndex.from_frame(summary[best.index.names])).to_numpy()
    settings = pd.DataFrame(
        [study.variants[variant] for variant in summary["variant"]], columns=list(study.axes)
    )

    def setting_of(axis: str) -> Column:
        return Column(
            study.axes[axis],
            lambda group: cells.setting(study.variants[group.names.variant], axis),
            is_label=True,
        )

    return build(
        files.ablation(name),
        f"{study.title} ({study.subject}). Test top-1 accuracy (%) at the last epoch, "
        f"{_over_seeds(summary['n'])}.",
        [*map(setting_of, study.axes), _MEAN_ACCURACY, _gain(results)],
        each(summary.assign(is_best=marks)),
        settings.join(summary[["n", "mean", "std", "gain", "runs"]]),
        notes=[bold_note(best, "variant" if study.pair else "variant of each pair")],
    )


def evaluation(results: Results) -> Table:
    """Return all metrics of the evaluation protocols, for teachers and students."""
    data = means(compared(results), NETWORK, results.metrics)
    headings = {metric: _heading(results, metric) for metric in results.metrics}
    return build(
        "evaluation",
        "Metrics of the evaluation protocols on the test set, for the networks of the last "
        f"epoch, {_over_seeds(data.loc[data['method'] != TEACHER, 'n'])}.",
        [*columns.names(results), *columns.metrics(data, headings)],
        groups(data, NETWORK),
        data,
    )


def cost(results: Results) -> Table:
    """Return what training took; numbers of different devices are kept apart."""
    by = [*NETWORK, "device"]
    writers = {
        "seconds": ("Time", duration),
        "peak_memory_mb": ("Peak memory (MiB)", whole),
        "images_per_second": ("Images a second", whole),
    }
    data = means(compared(results), by, writers)
    measured = [
        columns.statistic(heading, metric, cells.mean_as(write))
        for metric, (heading, write) in writers.items()
    ]
    return build(
        "cost",
        "What one training run took, mean over seeds.",
        [*columns.names(results), columns.device(), *measured],
        groups(data, by),
        data,
    )


def runs(results: Results) -> Table:
    """Return every run, in the order of the params file."""
    made = zip(results.made["run"], results.made["settings"], strict=True)
    settings = {run: json.loads(text) for run, text in made}
    data = with_settings(results.runs, settings).rename(columns={"run": "location"})
    if not results.report.timings:
        data = data.drop(columns=list(COST))
    shown = data.assign(runs=data["key"])
    return build(
        "runs",
        "Every run with its test top-1 accuracy at the last and at the best epoch. "
        "Its key ends the name of its folder.",
        [
            columns.label("Table", lambda row: str(row.table)),
            *columns.names(results),
            columns.setting(),
            Column("Seed", lambda group: Cell(str(group.names.seed), group.names.seed)),
            columns.number("Last (%)", LAST, number),
            columns.number("Best (%)", BEST, number),
            Column("Adopted", lambda group: Cell(group.names.adopted)),
            Column("Key", lambda group: Cell(group.runs, runs=(group.runs,))),
        ],
        each(shown),
        data,
        with_runs=False,
    )


def _heading(results: Results, metric: str) -> tuple[str, str]:
    """Return the protocol and the metric of a column in words."""
    entry, _, name = metric.partition("/")
    words = results.report.headings.get(metric, name.replace("_", " "))
    return axis_title(entry.replace("-", " ")), f"{words[:1].upper()}{words[1:]}"


def bold_note(best: pd.Series, of: str) -> str:
    """Say what is bold in a table, or why nothing is.

    Args:
        best: as ``is_best`` returns it.
        of: what is compared.
    """
    if not best.any():
        return "Nothing is bold: with fewer than three seeds no difference can be tested."
    return (
        f"Bold: the best {of}, and all that paired t tests over at least three seeds do not "
        "separate from it (p ≥ 0.05 after Holm’s correction)."
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
    around = half_width(data["std"], data["n"])
    data = data.assign(
        low=significant(data["mean"] - around), high=significant(data["mean"] + around)
    ).join(gain_intervals(results).add_prefix("gain_"), on=["pair", "method"])
    numbers = ["n", "mean", "std", "low", "high"]
    numbers += ["gain", "gain_low", "gain_high", "best_epoch_mean", "runs"]
    return pd.DataFrame(names).join(data[numbers])


def _method_labels(results: Results) -> dict[str, str]:
    return {TEACHER: "Teacher", **results.methods}


def _gain(results: Results) -> Column:
    over = results.methods.get(results.baseline, results.baseline)
    return columns.number(f"Gain over {over}", "gain", signed)


def _over_seeds(counts: Iterable[int]) -> str:
    """Say what a cell is the mean of."""
    known = sorted({count for count in counts if count})
    if not known or known == [1]:
        return "of one run each"
    several = f"{known[0]}" if len(known) == 1 else f"{known[0]} to {known[-1]}"
    return f"mean ± standard deviation over {several} seeds"
