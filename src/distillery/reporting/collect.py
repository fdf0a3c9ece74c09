"""The stage ``collect``: every result of an experiment in tidy tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from distillery.artifacts import Artifact, Workspace

RUNS = "runs.parquet"
CURVES = "curves.parquet"


def run(work: Workspace) -> None:
    """Write ``runs.parquet``, a row for each network, and ``curves.parquet``, a row an epoch.

    Columns of runs: the row's names (table, pair, method, title, variant as JSON, seed), ``run``
    (location) and ``key``, ``arch``, the training metrics, ``<protocol>/<metric>`` for each
    protocol, and what it cost: ``seconds``, ``images_per_second``, ``peak_memory_mb``, ``device``;
    ``adopted`` tells that the run was made by earlier code.
    """
    rows, curves = [], []
    for row in work.run.settings["rows"]:
        network = work.inputs[row["run"]]
        rows.append(_tidy(row, network, work.inputs))
        if "history.parquet" in network.files:
            history = pd.read_parquet(network.file("history.parquet"))
            curves.append(history.assign(run=row["run"]))
    pd.DataFrame(rows).to_parquet(work.out / RUNS, index=False)
    unique = {curve["run"].iloc[0]: curve for curve in curves}
    pd.concat(unique.values()).to_parquet(work.out / CURVES, index=False)


def _tidy(row: dict[str, Any], network: Artifact, inputs: dict[str, Artifact]) -> dict[str, Any]:
    names = ("table", "pair", "method", "title", "seed", "run")
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
