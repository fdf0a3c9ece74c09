"""The logs of runs, each ``<stage>/<name>-<key>.log`` in the folder of logs."""

from __future__ import annotations

from pathlib import Path

from distillery.core.errors import UserError
from distillery.runs import apart
from distillery.runs.finding import found
from distillery.runs.run import Run


def log_of(run: Run, logs: Path) -> Path | None:
    """Return the log of a run, whatever experiment had it computed; None if there is none."""
    named = apart.log_of(logs, run)
    if named.is_file():
        return named
    return min(named.parent.glob(f"*-{run.key}.log"), default=None)


def find_log(name: str, logs: Path) -> Path:
    """Return the log of the run that is meant by ``name``, as in ``runs.finding``.

    Raises:
        UserError: there is none, or it may be one of several.
    """
    by_name = {path.stem: path for path in sorted(logs.glob("*/*.log"))}
    if not by_name:
        raise UserError(f"{logs}: no logs; `snakemake` writes them, and `distillery run --logs`")
    return by_name[found(name, by_name, f"`ls {logs}` lists the logs")]
