"""Small experiments on the embedded digits, run inside the test's own process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from distillery.planning import plan
from distillery.planning.plan import Plan
from distillery.runs import stages
from distillery.runs.artifacts import Artifact, Run

TINY: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny",
    "data": {
        "source": "digits",
        "split": {"per_class": 8},
        "augmentation": {"pad": 1, "flip": False},
    },
    "training": {"epochs": 3, "batch_size": 32},
    "teachers": {"t": {"arch": "resnet8"}},
    "pairs": {"p": {"teacher": "t", "student": "resnet8"}},
    "methods": {"ce": {}},
    "report": {"timings": False},
}


def with_changes(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with nested mappings merged in; a mapping under ``!key`` replaces ``key``."""
    merged = dict(base)
    for key, value in changes.items():
        if key.startswith("!"):
            merged[key[1:]] = value
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = with_changes(base[key], value)
        else:
            merged[key] = value
    return merged


class Project:
    """A data folder and params files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def params(self, changes: dict[str, Any] | None = None, name: str = "tiny") -> Path:
        """Write a params file: the tiny experiment with changes."""
        path = self.folder / f"{name}.yaml"
        with path.open("w") as file:
            YAML(typ="safe").dump(with_changes(TINY, changes or {}), file)
        return path

    def plan(self, changes: dict[str, Any] | None = None, name: str = "tiny") -> Plan:
        """Return the plan of the tiny experiment with changes."""
        return plan.load(self.params(changes, name), self.data)

    def make(self, planned: Plan, run: Run) -> Artifact:
        """Compute a run and everything that it reads."""
        for location in run.inputs.values():
            self.make(planned, planned.runs[location])
        return Artifact(stages.execute(self.data, run))

    def make_all(self, planned: Plan) -> None:
        """Compute every run."""
        for run in planned.runs.values():
            stages.execute(self.data, run)
