"""Small experiments on the embedded digits, run inside the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from distillery.core.errors import UserError
from distillery.core.files import checksum
from distillery.planning import loading
from distillery.planning.plan import Plan
from distillery.reporting.settings import Row
from distillery.runs import stages
from distillery.runs.artifact import Artifact
from distillery.runs.run import Run

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


def rows(planned: Plan, table: str) -> list[Row]:
    """Return the rows of one table of the report."""
    return [row for row in planned.rows if row.table == table]


def photos(
    folder: Path,
    train: int = 6,
    test: int = 3,
    classes: Sequence[str] = ("cat", "dog"),
    size: tuple[int, int] = (12, 12),
    mode: str = "RGB",
) -> Path:
    """Write noisy images, of which one quarter is bright and tells the class; return the folder.

    Without test images the folders of classes lie in ``folder`` itself.
    """
    random = np.random.default_rng(0)
    height, width = size
    for part, count in (("train" if test else "", train), ("test", test)):
        for label, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = random.integers(0, 60, (height, width, 3)).astype(np.uint8)
                top, left = label // 2 % 2 * height // 2, label % 2 * width // 2
                pixels[top : top + height // 2, left : left + width // 2] += 120
                image = Image.fromarray(pixels).convert(mode)
                image.save(folder / part / name / f"{number}.png")
        if not test:
            break
    return folder


def refusal(of: Callable[..., object], *arguments: Any) -> str:
    """Return the one line that a mistake costs."""
    with pytest.raises(UserError) as error:
        of(*arguments)
    message = str(error.value)
    assert "\n" not in message
    return message


class Project:
    """A data folder and params files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.raw = self.data / "raw"

    def outside(self, name: str) -> dict[str, str]:
        """Put a file among the raw ones, and return how a params file names a checkpoint."""
        self.raw.mkdir(parents=True, exist_ok=True)
        (self.raw / name).write_bytes(name.encode())
        return {"file": name, "sha256": checksum(self.raw / name)}

    def params(self, changes: dict[str, Any] | None = None, name: str = "tiny") -> Path:
        """Write a params file: the tiny experiment with changes."""
        path = self.folder / f"{name}.yaml"
        with path.open("w") as file:
            YAML(typ="safe").dump(with_changes(TINY, changes or {}), file)
        return path

    def plan(self, changes: dict[str, Any] | None = None, name: str = "tiny") -> Plan:
        """Return the plan of the tiny experiment with changes."""
        return loading.load(self.params(changes, name), self.data)

    def mistake(self, changes: dict[str, Any]) -> str:
        """Return the one line that a wrong params file costs, without the file's name."""
        file = self.params(changes)
        name, _, message = refusal(loading.load, file, self.data).partition(": ")
        assert name == str(file)
        return message

    def make(self, planned: Plan, run: Run) -> Artifact:
        """Compute a run and everything that it reads."""
        for location in run.inputs.values():
            self.make(planned, planned.runs[location])
        return Artifact(stages.execute(self.data, run))

    def make_all(self, planned: Plan) -> None:
        """Compute every run."""
        for run in planned.runs.values():
            stages.execute(self.data, run)


def give_other_contents(run: Path) -> None:
    """Give a finished run the contents that another machine might have made: other, but whole."""
    manifest = json.loads((run / "manifest.json").read_text())
    file = run / "metrics.json"
    file.write_text(f"{file.read_text()}\n")
    manifest["files"]["metrics.json"] = {"size": file.stat().st_size, "sha256": checksum(file)}
    (run / "manifest.json").write_text(json.dumps(manifest))
