"""The stage ``collect``: every result of an experiment in tidy tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.core.settings import FrozenModel
from distillery.reporting.settings import Row, Selection
from distillery.runs.run import key_in

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact
    from distillery.runs.produce import Workspace

RUNS = "runs.parquet"
CURVES = "curves.parquet"
DIAGNOSTICS = "diagnostics.parquet"
RECORDS = "records.parquet"
TUNING = "tuning"
_DETAILS = "details.parquet"


class Settings(FrozenModel):
    """What is collected."""

    rows: tuple[Row, ...]
    """The rows of the report."""
    selections: tuple[Selection, ...] = ()
    """What selected settings by trials."""


def details_file(entry: str) -> str:
    """Return the name of the file with what an entry of ``protocols`` found beside its metrics."""
    return f"details-{entry}.parquet"


def run(work: Workspace) -> None:
    """Write ``runs.parquet``, a row for each network, and ``curves.parquet``, a row an epoch.

    How each network was made stands in ``records.parquet``: ``run`` (location), ``settings``
    (JSON), ``started``, ``commit``, ``dirty``, ``processor``, ``device`` and ``versions`` (JSON) as
    its manifest has them, and what it learned from: ``data``, ``shape`` (height, width, channels),
    ``classes``, and the numbers of ``train``, ``validation`` and ``test`` images.

    Where there are any, the diagnostics of training runs go to ``diagnostics.parquet``, the trials
    of a tuning to ``details-tuning.parquet`` (see ``training.selection``), and what protocols found
    beside their metrics to ``details-<entry>.parquet``. Their column ``run`` is the
    location of the network. Details have ``teacher_key`` too: a network without a teacher of its
    own is compared with the teacher of each pair that it is in.

    Columns of runs: the row's names (table, pair, method, title, variant as JSON, seed),
    ``classifies``, ``run`` (location) and ``key``, ``arch``, the training metrics,
    ``<protocol>/<metric>`` for each protocol, and what it cost: ``seconds``,
    ``images_per_second``, ``peak_memory_mb``, ``device``; ``adopted`` says of a run of earlier
    code how it came to be adopted, and is empty otherwise.
    """
    settings = Settings.model_validate(work.run.settings)
    rows = settings.rows
    tidied = [tidy(row, work.inputs) for row in rows]
    pd.DataFrame(tidied).to_parquet(work.out / RUNS, index=False)
    networks = dict.fromkeys(row.run for row in rows)
    made = pd.DataFrame(_made(networks, work.inputs))
    made.to_parquet(work.out / RECORDS, index=False)
    trained = [({"run": run}, run) for run in networks]
    _join(work, trained, "history.parquet", CURVES)
    _join(work, trained, DIAGNOSTICS, DIAGNOSTICS)
    for entry in dict.fromkeys(entry for row in rows for entry in row.evaluations):
        # A network is evaluated once for each teacher, whatever rows it is in.
        evaluations = {
            (row.run, work.inputs[row.teacher].key): row.evaluations[entry]
            for row in rows
            if entry in row.evaluations
        }
        evaluated = [
            ({"run": run, "teacher_key": key}, evaluation)
            for (run, key), evaluation in evaluations.items()
        ]
        _join(work, evaluated, _DETAILS, details_file(entry))
    selections = [
        ({"pair": each.pair, "method": each.method, "title": each.title, "run": each.run}, each.run)
        for each in settings.selections
    ]
    _join(work, selections, _DETAILS, details_file(TUNING))


def _join(
    work: Workspace, sources: Iterable[tuple[dict[str, str], str]], name: str, target: str
) -> None:
    """Write the files of one name of several runs as one.

    Args:
        work: where to read and write.
        sources: columns that say what a run is about, and its location.
        name: name of the files.
        target: name of the file to write.
    """
    tables = [
        pd.read_parquet(work.inputs[location].file(name)).assign(**about)
        for about, location in sources
        if name in work.inputs[location].files
    ]
    if tables:
        pd.concat(tables).to_parquet(work.out / target, index=False)


def tidy(row: Row, inputs: Mapping[str, Artifact]) -> dict[str, Any]:
    """Return one row of the runs: names, training metrics, metrics of protocols, costs.

    Args:
        row: names of networks and protocols.
        inputs: location -> what is there of them; of a network that is missing only the names are
            known.
    """
    tidy = row.model_dump(exclude={"variant", "evaluations", "teacher"})
    tidy["variant"] = json.dumps(row.variant, sort_keys=True)
    tidy["teacher_key"], tidy["key"] = key_in(row.teacher), key_in(row.run)
    network = inputs.get(row.run)
    if network is None:
        return tidy
    tidy["arch"] = network.settings["arch"]
    tidy.update(network.json("metrics.json"))
    for protocol, location in row.evaluations.items():
        metrics = inputs[location].json("metrics.json") if location in inputs else {}
        tidy.update({f"{protocol}/{name}": value for name, value in metrics.items()})
    record = network.manifest["record"]
    tidy["seconds"] = record.get("training_seconds", record["wall_seconds"])
    tidy["images_per_second"] = record.get("images_per_second")
    tidy["peak_memory_mb"] = record["peak_memory_mb"]
    tidy["device"] = record.get("device")
    tidy["chance_top1"] = record.get("chance_top1")
    tidy["adopted"] = network.adoption
    return tidy


def _made(runs: Iterable[str], inputs: Mapping[str, Artifact]) -> Iterator[dict[str, Any]]:
    """Yield how each network was made, and what it learned from."""
    # By keys: a run that experiments share knows its inputs by the names of the first of them.
    by_key = {artifact.key: artifact for artifact in inputs.values()}
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        record, read = inputs[run].manifest["record"], inputs[run].manifest["inputs"]
        parts = key_in(read["prepared"]), key_in(read.get("split", ""))
        if parts not in known:
            known[parts] = _images(by_key[parts[0]], by_key.get(parts[1]))
        git = record.get("git") or {}
        yield {
            "run": run,
            "settings": json.dumps(inputs[run].settings, sort_keys=True),
            **{name: record.get(name) for name in ("started", "processor", "device")},
            **{name: git.get(name) for name in ("commit", "dirty")},
            "versions": json.dumps(record.get("versions", {}), sort_keys=True),
            **known[parts],
        }


def _images(prepared: Artifact, split: Artifact | None) -> dict[str, Any]:
    """Return what a network learned from; one that was imported has no split."""
    info = prepared.json("info.json")
    counts = {
        part: None if split is None else len(pd.read_csv(split.file(f"{part}.csv")))
        for part in ("train", "validation")
    }
    return {
        "data": info["name"],
        "shape": " × ".join(map(str, info["shape"])),
        "classes": len(info["classes"]),
        **counts,
        "test": info["counts"]["test"],
    }
