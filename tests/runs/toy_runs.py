"""Runs of a stage that writes one number."""

from __future__ import annotations

from distillery.runs.produce import Workspace
from distillery.runs.run import Run


def make_run(value: int = 1, inputs: dict[str, str] | None = None, code: str = "c") -> Run:
    return Run("toy", "toys", "toy", {"value": value}, inputs or {}, code)


def write_value(work: Workspace) -> None:
    work.write_json("value.json", work.run.settings["value"])
