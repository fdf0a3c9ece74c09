"""Shows one finished run, and two beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distillery.reporting.formatting import duration, setting
from distillery.runs.artifact import Artifact
from distillery.runs.run import key_in
from distillery.steering.finished import (
    command_of,
    curves_of,
    metrics_of,
    settings_of,
    still_plans,
)
from distillery.steering.output import print_table, sparkline

_ABSENT = "–"


def print_run(artifact: Artifact, data: Path) -> None:
    """Print settings, metrics, curves, what it was made from and how, and the command for it."""
    manifest, record = artifact.manifest, artifact.manifest["record"]
    print(f"{artifact.path}")
    made = f"{manifest['stage']}, made {record['started']} in {duration(record['wall_seconds'])}"
    print(f"{made} on {record.get('device', 'cpu')}")
    if artifact.adoption:
        print(artifact.adoption)
    _section("settings", settings_of(artifact))
    _section("inputs", manifest["inputs"])
    _section("metrics", metrics_of(artifact))
    curves = {name: values for name, values in curves_of(artifact).items() if values}
    if curves:
        rows = (
            [name, sparkline(values), setting(values[0]), setting(values[-1])]
            for name, values in curves.items()
        )
        print()
        print_table(["curve", "", "first", "last"], rows)
    print(f"\n{command_of(artifact)}")
    outdated = still_plans(artifact, data)
    if outdated:
        print(f"but {outdated}")


def compared(one: Artifact, other: Artifact) -> dict[str, Any]:
    """Return what differs between two runs as plain values.

    Returns:
        ``runs``, their names; ``settings`` and ``inputs`` that differ, name -> both values, None
        for what one lacks; ``metrics``, name -> both values; ``code``, whether it is the same.
    """
    pair = (one, other)
    settings = [settings_of(each) for each in pair]
    inputs = _both(*(each.manifest["inputs"] for each in pair))
    return {
        "runs": [each.path.name for each in pair],
        "settings": _both(*settings, differing=True),
        # Experiments may call the same run differently.
        "inputs": {name: both for name, both in inputs.items() if len({*map(_key, both)}) > 1},
        "metrics": _both(*map(metrics_of, pair)),
        "code": one.manifest["code"] == other.manifest["code"],
    }


def print_compared(differences: dict[str, Any]) -> None:
    """Print what ``compared`` returned; differences of numbers beside them."""
    one, other = differences["runs"]
    print(f"A  {one}\nB  {other}")
    for kind in ("settings", "inputs"):
        if differences[kind]:
            print()
            rows = ([name, *map(_cell, both)] for name, both in differences[kind].items())
            print_table([f"{kind} that differ", "A", "B"], rows)
        else:
            print(f"\nthe same {kind}")
    if not differences["code"]:
        print("\nmade by different code")
    if differences["metrics"]:
        print()
        rows = (
            [name, *map(_cell, both), _difference(*both)]
            for name, both in differences["metrics"].items()
        )
        print_table(["metrics", "A", "B", "B - A"], rows)


def _section(title: str, values: dict[str, Any]) -> None:
    if values:
        print()
        print_table([title, ""], ([name, setting(value)] for name, value in values.items()))


def _both(
    one: dict[str, Any], other: dict[str, Any], *, differing: bool = False
) -> dict[str, list[Any]]:
    names = dict.fromkeys([*one, *other])
    return {
        name: [one.get(name), other.get(name)]
        for name in names
        if not differing or one.get(name) != other.get(name)
    }


def _key(location: str | None) -> str | None:
    return location and key_in(location)


def _cell(value: Any) -> str:
    return _ABSENT if value is None else setting(value)


def _difference(one: Any, other: Any) -> str:
    numbers = all(isinstance(each, int | float) for each in (one, other))
    return f"{other - one:+.6g}" if numbers else ""
