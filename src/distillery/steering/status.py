"""How far an experiment is: what is done, running, failed, stopped, and what waits."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from distillery.planning.plan import Plan
from distillery.reporting.formatting import duration
from distillery.runs.run import Run
from distillery.runs.state import NAMES, State, states_of
from distillery.steering.logs import log_of
from distillery.steering.output import print_table

# Nobody reads more of them; `--json` has all.
_SHOWN = 20


def status_of(plan: Plan, data: Path, logs: Path) -> dict[str, Any]:
    """Return the state of an experiment as plain values.

    Args:
        plan: its plan.
        data: the data folder.
        logs: folder of the logs.

    Returns:
        ``name`` of the experiment; ``counts`` by stage and state; ``runs``, those that are neither
        done nor waiting, each with ``run``, ``state``, ``done``, ``total`` and ``unit`` of its
        progress, ``seconds_left``, ``reason`` and ``log``.
    """
    found = list(states_of(plan.runs.values(), data))
    counts: dict[str, Counter[str]] = {}
    for run, state in found:
        counts.setdefault(run.stage, Counter())[state.name] += 1
    return {
        "name": plan.name,
        "counts": {stage: {name: count[name] for name in NAMES} for stage, count in counts.items()},
        "runs": [
            _described(run, state, logs)
            for run, state in found
            if state.name not in ("done", "outdated", "waiting")
        ],
    }


def print_status(status: dict[str, Any]) -> None:
    """Print what ``status_of`` returned."""
    counts = status["counts"]
    total = {name: sum(count[name] for count in counts.values()) for name in NAMES}
    told = ", ".join(f"{count} {name}" for name, count in total.items() if count)
    print(f"{status['name']}: {sum(total.values())} runs: {told}")
    shown = [name for name in NAMES if total[name]]
    print_table(
        ["stage", *shown],
        [[stage, *(count[name] or "" for name in shown)] for stage, count in counts.items()],
    )
    for state in ("running", "failed", "stopped"):
        runs = [each for each in status["runs"] if each["state"] == state]
        if runs:
            print()
            print_table([state, ""], [[each["run"], _told(each)] for each in runs[:_SHOWN]])
        if len(runs) > _SHOWN:
            print(f"and {len(runs) - _SHOWN} more")


def _described(run: Run, state: State, logs: Path) -> dict[str, Any]:
    progress, log = state.progress, log_of(run, logs)
    left = progress.seconds_left(time.time()) if progress and state.name == "running" else None
    return {
        "run": run.location,
        "state": state.name,
        "done": progress and progress.done,
        "total": progress and progress.total,
        "unit": progress and progress.unit,
        "seconds_left": left,
        "reason": state.reason,
        "log": str(log) if log else None,
    }


def _told(run: dict[str, Any]) -> str:
    """Say in a line what is known of a run."""
    how_far = f"{run['done']} of {run['total']} {run['unit']}" if run["total"] else ""
    if run["state"] == "running":
        if run["seconds_left"] is None:
            return "just begun"
        return f"{how_far}, {duration(run['seconds_left'])} left"
    if run["state"] == "stopped":
        return f"{how_far or 'begun'}; the next start goes on"
    log = f" ({run['log']})" if run["log"] else ""
    return f"{run['reason'] or 'no reason'}{log}"
