"""Follows docs/adding-a-protocol.md to the letter, in a copy of the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from documented import Package, Page
from project import Project

PAGE = Page("adding-a-protocol.md")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package(tmp_path_factory.mktemp("package"), PAGE)


def test_the_protocol_measures_every_network(package: Package, project: Project) -> None:
    entries = PAGE.params()["protocols"]
    file = project.params({"!protocols": entries, "training": {"epochs": 1}})
    package.compute(file, project.data)
    measured = confidences(project.data)
    # A teacher and a student, at both temperatures; the higher one makes them less sure.
    assert len(measured[1.0]) == len(measured[4.0]) == 2
    assert max(measured[4.0]) < min(measured[1.0])
    package.run("-m", "distillery", "report", "--params", str(file), "--data", str(project.data))


def confidences(data: Path) -> dict[float, list[float]]:
    """Return the metric of all runs of the protocol by temperature."""
    measured: dict[float, list[float]] = {}
    for folder in data.glob("evaluations/*-confidence-*"):
        settings = json.loads((folder / "manifest.json").read_text())["settings"]
        metrics = json.loads((folder / "metrics.json").read_text())
        measured.setdefault(settings["options"]["temperature"], []).append(metrics["confidence"])
    return measured
