"""Finished runs that a person names, and what is known of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distillery.core.errors import DistilleryError, UserError
from distillery.core.flattening import flattened
from distillery.runs.artifact import Artifact, published
from distillery.runs.finding import found

METRICS = "metrics.json"
HISTORY = "history.parquet"
# Of a history: what is known of each row, but no curve.
_NO_CURVE = ("phase", "epoch", "lr")


def open_finished(name: str, data: Path) -> Artifact:
    """Open the finished run that is meant by ``name``, as in ``runs.finding``.

    Raises:
        UserError: no such run is there, or it may be one of several.
    """
    by_name = {path.name: path for path in published(data)}
    if not by_name:
        raise UserError(f"{data}: holds no finished runs")
    where = f"`ls {data}/students` lists those that are there, `distillery status` all"
    return Artifact(by_name[found(name, by_name, where)])


def settings_of(artifact: Artifact) -> dict[str, Any]:
    """Return the settings of a run by dotted names."""
    return flattened(artifact.settings)


def metrics_of(artifact: Artifact) -> dict[str, Any]:
    """Return the metrics of a run; empty if it has none."""
    return dict(artifact.json(METRICS)) if METRICS in artifact.files else {}


def curves_of(artifact: Artifact) -> dict[str, list[float]]:
    """Return what a training logged each epoch, but what was not measured; empty for others."""
    if HISTORY not in artifact.files:
        return {}
    import pyarrow.parquet as pq

    columns = pq.read_table(artifact.file(HISTORY)).to_pydict()
    return {
        name: [value for value in values if value is not None]
        for name, values in columns.items()
        if name not in _NO_CURVE
    }


def command_of(artifact: Artifact) -> str:
    """Return the command that makes a run again where it is missing."""
    params = artifact.manifest["record"].get("params")
    return f"distillery run {artifact.path.name}{f' --params {params}' if params else ''}"


def described(artifact: Artifact) -> dict[str, Any]:
    """Return what is known of a run as plain values."""
    manifest = artifact.manifest
    return {
        "run": f"{manifest['folder']}/{artifact.path.name}",
        "stage": manifest["stage"],
        "key": artifact.key,
        "settings": artifact.settings,
        "inputs": manifest["inputs"],
        "metrics": metrics_of(artifact),
        "curves": curves_of(artifact),
        "record": manifest["record"],
        "command": command_of(artifact),
    }


def still_plans(artifact: Artifact, data: Path) -> str:
    """Say why the command that makes a run does not do so any more; empty if it does."""
    from distillery.planning import loading

    params = artifact.manifest["record"].get("params")
    if not params:
        return "the manifest does not say which params file wanted it"
    try:
        keys = {run.key for run in loading.load(Path(params), data).runs.values()}
    except DistilleryError as error:
        return str(error)
    if artifact.key in keys:
        return ""
    commit = (artifact.manifest["record"].get("git") or {}).get("commit")
    made = f" (it was made with commit {commit[:12]})" if commit else ""
    return f"{params} wants another one by now: settings, data or code have changed since{made}"


def as_json(value: Any) -> str:
    """Return plain values as JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)
