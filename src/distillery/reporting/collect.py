"""The stage ``collect``: every result of an experiment in tidy tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from distillery.artifacts import Artifact, Workspace

RUNS = "runs.parquet"
CURVES = "curves.parquet"
DIAGNOSTICS = "diagnostics.parquet"
_DETAILS = "details.parquet"


def details_file(entry: str) -> str:
    """Return the name of the file with what an entry of ``protocols`` found beside its metrics."""
    return f"details-{entry}.parquet"


def run(work: Workspace) -> None:
    """Write ``runs.parquet``, a row for each network, and ``curves.parquet``, a row an epoch.

    Where there are any, the diagnostics of training runs go to ``diagnostics.parquet``, and what
    protocols found beside their metrics to ``details-<entry>.parquet``. Their column ``run`` is the
    location of the network.

    Columns of runs: the row's names (table, pair, method, title, variant as JSON, seed),
    ``classifies``, ``run`` (location) and ``key``, ``arch``, the training metrics,
    ``<protocol>/<metric>`` for each protocol, and what it cost: ``seconds``,
    ``images_per_second``, ``peak_memory_mb``, ``device``; ``adopted`` tells that the run was made
    by earlier code.
    """
    rows = work.run.settings["rows"]
    tidy = [_tidy(row, work.inputs[row["run"]], work.inputs) for row in rows]
    pd.DataFrame(tidy).to_parquet(work.out / RUNS, index=False)
    own = {row["run"]: row["run"] for row in rows}
    _join(work, own, "history.parquet", CURVES)
    _join(work, own, DIAGNOSTICS, DIAGNOSTICS)
    for entry in dict.fromkeys(entry for row in rows for entry in row["evaluations"]):
        evaluated = {
            row["run"]: row["evaluations"][entry] for row in rows if entry in row["evaluations"]
        }
        _join(work, evaluated, _DETAILS, details_file(entry))


def _join(work: Workspace, places: Mapping[str, str], name: str, target: str) -> None:
    """Write the files of one name of several runs (network -> location) as one."""
    found = {
        network: work.inputs[place].file(name)
        for network, place in places.items()
        if name in work.inputs[place].files
    }
    if found:
        tables = [pd.read_parquet(path).assign(run=network) for network, path in found.items()]
        pd.concat(tables).to_parquet(work.out / target, index=False)


def _tidy(row: dict[str, Any], network: Artifact, inputs: dict[str, Artifact]) -> dict[str, Any]:
    names = ("table", "pair", "method", "title", "seed", "classifies", "run")
    tidy = {name: row[name] for name in names}
    tidy["variant"] = json.dumps(row["variant"], sort_keys=True)
    tidy["teacher_key"] = inputs[row["teacher"]].key
    tidy["key"], tidy["arch"] = network.key, network.settings["arch"]
    tidy.update(network.json("metrics.json"))
    for protocol, location in row["evaluations"].items():
        metrics = inputs[location].json("metrics.json")
        tidy.update({f"{protocol}/{name}": value for name, value in metrics.items()})
    record = network.manifest["record"]
    tidy["seconds"] = record.get("training_seconds", record["wall_seconds"])
    tidy["images_per_second"] = record.get("images_per_second")
    tidy["peak_memory_mb"] = record["peak_memory_mb"]
    tidy["device"] = record.get("device")
    tidy["adopted"] = bool(network.manifest["adopted_from"])
    return tidy
