"""The coarse stages that DVC tracks: ``dvc.yaml`` for one experiment or several.

Snakemake owns the graph and runs it; DVC versions what it makes. The folders below ``data/`` are
shared, as all runs lie there by their keys, so a stage makes them for all experiments. Each
experiment has a report of its own.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from distillery.core.errors import UserError
from distillery.planning.plan import Plan
from distillery.reporting import files

# Folder of runs -> stage and what it does. Each reads the folders before it.
_FOLDERS = {
    "prepared": ("prepare", "Canonical Parquet and splits of the data set"),
    "teachers": ("teachers", "Train or import the teachers"),
    "embeddings": ("embeddings", "Cache the teachers' logits and embeddings"),
    "students": ("students", "Distil the students"),
    "evaluations": ("evaluate", "Evaluation protocols, and all results in one table"),
}
_CODE = ("Snakefile", "workflow", "src/distillery")
# What is in this very folder is committed, so that a diff shows changed numbers.
_IN_GIT = "reports"
_PARTS = (files.PAGE, files.METRICS, files.FINDINGS, files.PLOTS, "tables", "figures")
# With the captions of the report: `.dvc/config` names the page that has them.
_SHOWN = ("accuracy", "differences", "ranks", "learning-curves", "size")
_PLOTS = tuple(files.figure_file(name, "png") for name in _SHOWN)


def pipeline(plans: Mapping[Path, Plan]) -> str:
    """Return the text of ``dvc.yaml``.

    Args:
        plans: params file, as a path within the project -> its plan.

    Raises:
        UserError: two of them write into one folder.
    """
    folders: dict[str, Path] = {}
    for path, plan in plans.items():
        other = folders.setdefault(plan.report.folder, path)
        if other != path:
            raise UserError(
                f"{path}: its report goes into {plan.report.folder}, like that of {other}; "
                "give one of them another `name` or `report.folder`"
            )
    reports = {_report_stage(plan): _reporting(path, plan) for path, plan in plans.items()}
    whole = {
        "stages": _data_stages(list(plans)) | reports,
        "metrics": [f"{folder}/{files.METRICS}" for folder in folders],
        "plots": [f"{folder}/{name}" for folder in folders for name in _PLOTS],
    }
    return f"{_head(list(plans))}{_as_yaml(whole)}"


def _head(paths: Sequence[Path]) -> str:
    return (
        f"# Written by `distillery dvc {shlex.join(map(str, paths))}`: what DVC tracks.\n"
        "# `persist: true` keeps what is there: runs never overwrite each other, and existing ones"
        " are reused.\n"
    )


def _data_stages(paths: Sequence[Path]) -> dict[str, Any]:
    before: list[str] = []
    found = {}
    for folder, (name, does) in _FOLDERS.items():
        found[name] = {
            "desc": does,
            "cmd": _commands(paths, folder),
            "deps": [*_CODE, *before],
            "params": [{str(path): None} for path in paths],
            "outs": [{f"data/{folder}": {"persist": True}}],
        }
        before.append(f"data/{folder}")
    return found


def _report_stage(plan: Plan) -> str:
    return "reports" if plan.report.folder == _IN_GIT else f"reports-{plan.name}"


def _reporting(path: Path, plan: Plan) -> dict[str, Any]:
    folder = plan.report.folder
    kept = {"persist": True} if folder != _IN_GIT else {"cache": False, "persist": True}
    return {
        "desc": "Tables, figures and the page",
        "cmd": _commands([path], "all"),
        "deps": [*_CODE, "data/evaluations"],
        "params": [{str(path): None}],
        "outs": [{f"{folder}/{part}": dict(kept)} for part in _PARTS],
    }


def _commands(paths: Sequence[Path], target: str) -> str | list[str]:
    """Return what makes a target of each experiment, one after the other."""
    commands = [
        f"snakemake --cores all --configfile {shlex.quote(str(path))} -- {target}" for path in paths
    ]
    return commands if len(commands) > 1 else commands[0]


def _as_yaml(value: Any) -> str:
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=4, offset=2)
    # Each mention is written out, also where Python has one object.
    yaml.representer.ignore_aliases = lambda _: True
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue()
