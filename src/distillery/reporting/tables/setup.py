"""Tables of what was run: settings, method entries, sizes of networks, and how runs were made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from distillery.reporting.formatting import (
    axis_title,
    counted,
    enumerated,
    millions,
    number,
    setting,
    whole,
)
from distillery.reporting.results.collected import TEACHER, Results, records
from distillery.reporting.tables import columns
from distillery.reporting.tables.building import build, each
from distillery.reporting.tables.columns import Column
from distillery.reporting.tables.model import Cell, Table

# Settings that are the same for most runs are said once; of others, at most so many kinds.
_MOST_KINDS = 4
_PARTS = {"train": "trained on", "validation": "held out", "test": "tested on"}


def settings(results: Results) -> Table:
    """Return how networks were trained: data, schedule, optimiser, augmentation, seeds."""
    rows = []
    for who, networks in _groups(results):
        made = networks[["run"]].drop_duplicates().merge(results.made, on="run")
        made["settings"] = made["settings"].map(json.loads)
        for name, describe in _FACTS.items():
            text = _kinds([describe(row) for row in records(made)])
            if text:
                rows.append({"networks": who, "setting": name, "value": text})
        seeds = ", ".join(map(str, sorted(networks["seed"].unique())))
        rows.append({"networks": who, "setting": "Seeds", "value": seeds})
    data = pd.DataFrame(rows, columns=["networks", "setting", "value"])
    return build(
        "settings",
        "What was run: data, training and seeds, as the manifests of the runs have them.",
        [
            columns.label("Networks", lambda row: row.networks),
            columns.label("Setting", lambda row: row.setting),
            columns.label("Value", lambda row: row.value),
        ],
        each(data),
        data,
        with_runs=False,
    )


def entries(results: Results) -> Table:
    """Return the method entries: source, weights, and what differs from the published settings."""
    rows = [
        {
            "method": name,
            "source": entry.source.partition(";")[0],
            "weights": _weights(entry.weights),
            "differs": _differing(entry.differs),
        }
        for name, entry in results.report.entries.items()
    ]
    data = pd.DataFrame(rows, columns=["method", "source", "weights", "differs"])
    return build(
        "entries",
        "The methods that are compared, with the weights of their objective, and what the "
        "experiment sets otherwise than each method’s own defaults.",
        [
            columns.label("Method", lambda row: results.labels.get(row.method, row.method)),
            columns.label("Source", lambda row: row.source),
            columns.label("Weights", lambda row: row.weights),
            columns.label("Differs from the defaults", lambda row: row.differs),
        ],
        each(data),
        data,
        with_runs=False,
    )


def networks(results: Results) -> Table:
    """Return the pairs: parameters, compression, and the accuracy of the teacher."""
    rows = [
        {
            "pair": pair,
            "teacher_parameters": results.report.pairs[pair].teacher_parameters,
            "student_parameters": results.report.pairs[pair].student_parameters,
            "teacher_top1": results.summary.loc[(pair, TEACHER), "mean"],
            "runs": results.summary.loc[(pair, TEACHER), "runs"],
        }
        for pair in results.compared
    ]
    names = ["pair", "teacher_parameters", "student_parameters", "teacher_top1", "runs"]
    data = pd.DataFrame(rows, columns=names)
    parameters = ["teacher_parameters", "student_parameters"]
    data[parameters] = data[parameters].astype(float)
    data["ratio"] = data["teacher_parameters"] / data["student_parameters"]
    return build(
        "networks",
        "The pairs of teacher and student: numbers of parameters, how many times smaller the "
        "student is, and what the teacher reaches.",
        [
            columns.label("Teacher", lambda row: results.compared[row.pair].teacher),
            columns.label("Student", lambda row: results.compared[row.pair].student),
            columns.number("Teacher’s parameters (M)", "teacher_parameters", millions),
            columns.number("Student’s parameters (M)", "student_parameters", millions),
            columns.number("Compression (×)", "ratio", lambda value: number(value, 1)),
            columns.number("Teacher’s top-1 (%)", "teacher_top1", number),
        ],
        each(data),
        data.round({"ratio": 6}),
    )


def provenance(results: Results) -> Table:
    """Return how the runs were made: commit, versions, machines, dates, and the command."""
    made = results.made
    dates = sorted(str(date)[:10] for date in made["started"].dropna())
    facts = {
        "Command": f"snakemake --cores all --configfile {results.report.params}",
        "Code": _kinds([_commit(row) for row in records(made)]),
        "Versions": _kinds([_versions(text) for text in made["versions"]]),
        "Processor": _kinds([str(name) for name in made["processor"].dropna()]),
        "Device": _kinds([str(name) for name in made["device"].dropna()]),
        "Dates": " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "",
        "Runs": counted(len(made), "network"),
    }
    rows = [{"what": what, "value": text} for what, text in facts.items() if text]
    data = pd.DataFrame(rows, columns=["what", "value"])
    return build(
        "provenance",
        "How the networks were made, as their manifests record it, and the command that makes "
        "them and this report again.",
        [
            columns.label("What", lambda row: row.what),
            Column("Value", lambda group: Cell(group.names.value), is_label=True),
        ],
        each(data),
        data,
        with_runs=False,
    )


def _groups(results: Results) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield students and teachers; the students of ablations vary by design."""
    for who, networks_ in (("Students", results.students), ("Teachers", results.teachers)):
        if len(networks_):
            yield who, networks_


def _kinds(texts: Iterable[str]) -> str:
    """Return what all say, or each kind with how many runs say it."""
    counts = Counter(filter(None, texts)).most_common()
    if len(counts) <= 1:
        return "".join(text for text, _ in counts)
    kinds = [f"{text} ({counted(n, 'run')})" for text, n in counts]
    rest = len(kinds) - _MOST_KINDS
    return "; ".join([*kinds[:_MOST_KINDS], *([f"{rest} more"] if rest > 0 else [])])


def _data(row: Any) -> str:
    return f"{row.data}: {row.classes} classes, images of {row.shape} pixels"


def _images(row: Any) -> str:
    known = {part: getattr(row, part) for part in _PARTS}
    said = [f"{whole(n)} {_PARTS[part]}" for part, n in known.items() if not pd.isna(n) and n]
    return ", ".join(said)


def _augmentation(row: Any) -> str:
    chosen = row.settings.get("augmentation")
    if not chosen:
        return ""
    if chosen["kind"] == "crop":
        parts = [f"crops after padding by {chosen['pad']}"] if chosen["pad"] else []
    else:
        parts = [f"random boxes of {chosen['scale'][0]:g} to {chosen['scale'][1]:g} of the area"]
    return enumerated([*parts, *(["flips"] if chosen["flip"] else [])] or ["none"])


def _schedule(row: Any) -> str:
    training = row.settings.get("training")
    if not training:
        return "imported"
    text = f"{training['epochs']} epochs, batches of {training['batch_size']}"
    if training["schedule"] == "cosine":
        text += f", learning rate {training['lr']:g}, half a cosine down to zero"
    else:
        after = enumerated([str(epoch) for epoch in training["milestones"] or []])
        steps = f", times {training['gamma']:g} after epochs {after}" if after else ""
        text += f", learning rate {training['lr']:g}{steps}"
    warmup = training["warmup_epochs"]
    return text + (f", {counted(warmup, 'epoch')} of warm-up" if warmup else "")


def _optimiser(row: Any) -> str:
    training = row.settings.get("training")
    if not training:
        return ""
    if training.get("optimizer") == "adamw":
        betas = f"{training['momentum']:g} and {training['beta2']:g}"
        return f"AdamW with betas {betas}, weight decay {training['weight_decay']:g}"
    kind = "SGD with Nesterov’s momentum" if training["nesterov"] else "SGD with momentum"
    return f"{kind} {training['momentum']:g}, weight decay {training['weight_decay']:g}"


def _precision(row: Any) -> str:
    compute = row.settings.get("compute")
    if not compute:
        return ""
    name = {"no": "32-bit floats"}.get(compute["precision"], compute["precision"])
    parts = [name, *(["compiled"] if compute["compile"] else [])]
    parts += [counted(compute["processes"], "process")] if compute["processes"] > 1 else []
    return ", ".join(parts)


_FACTS: Mapping[str, Callable[[Any], str]] = {
    "Data set": _data,
    "Images": _images,
    "Augmentation": _augmentation,
    "Schedule": _schedule,
    "Optimiser": _optimiser,
    "Precision": _precision,
}


def _weights(weights: Mapping[str, float]) -> str:
    names = {"ce": "CE", "kd": "KD", "method": "method"}
    return " + ".join(f"{value:g} {names[name]}" for name, value in weights.items() if value)


def _differing(differs: Mapping[str, Any]) -> str:
    parts = []
    for name, value in differs.items():
        pair, _, dotted = name.rpartition(": ")
        parts.append(f"{f'{pair}: ' if pair else ''}{axis_title(dotted)} {setting(value)}")
    return "; ".join(parts) or "–"


def _commit(row: Any) -> str:
    if not row.commit:
        return ""
    return f"commit {row.commit[:12]}{' with changes' if row.dirty else ''}"


def _versions(text: str) -> str:
    return ", ".join(f"{name} {version}" for name, version in json.loads(text).items())
