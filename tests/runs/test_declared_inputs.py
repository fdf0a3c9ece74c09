"""Every stage and every protocol reads what its run declares, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from project import Project

from distillery.core.files import checksum
from distillery.evaluation import registry as protocols
from distillery.evaluation.base import Study
from distillery.models import registry as models
from distillery.planning.plan import Plan
from distillery.runs import stages
from distillery.runs.produce import RAW
from distillery.runs.run import Run
from distillery.runs.stages import STAGES

# What keeps slow protocols short; others, also those of tomorrow, have their defaults.
OPTIONS = {
    "attention-maps": {"images": 2, "sample": 20},
    "computation": {"warmup": 1, "repeats": 2, "batch_size": 16},
    "deployment": {"calibration_images": 20, "test_images": 20, "warmup": 1, "repeats": 2},
    "transfer": {"max_iterations": 2},
    "tsne": {"classes": 2, "images": 10, "perplexity": 5, "neighbours": 2},
}


def checkpoint(project: Project) -> dict[str, str]:
    """Put a checkpoint among the raw files, and return how a params file names it."""
    file = project.data / RAW / "teacher.pth"
    file.parent.mkdir(parents=True)
    torch.save(models.build("resnet8", num_classes=10, in_channels=1).state_dict(), file)
    return {"file": file.name, "sha256": checksum(file)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("declared"))


@pytest.fixture(scope="module")
def planned(project: Project) -> Plan:
    """A plan with every stage and protocol; students learn from a cache and from a live teacher."""
    imported = {"arch": "resnet8", "checkpoint": checkpoint(project)}
    pair = {"student": "resnet8"}
    return project.plan(
        {
            "!teachers": {"trained": {"arch": "resnet8"}, "imported": imported},
            "!pairs": {
                "p": {**pair, "teacher": "trained"},
                "q": {**pair, "teacher": "imported"},
            },
            "!methods": {"kd": {}, "at": {"pairs": ["p"]}, "ce": {"pairs": ["p"]}},
            "training": {"epochs": 1},
            "protocols": {
                name: {"options": OPTIONS.get(name, {}), "pairs": ["p"]}
                for name in protocols.names()
                if name not in STUDIES
            },
            "report": {"baseline": "kd"},
            "tuning": {
                "pair": "p",
                "methods": {"kd": {"vary": {"options": {"temperature": [2, 4]}}}},
            },
        }
    )


STUDIES = {name for name in protocols.names() if issubclass(protocols.load(name), Study)}


def test_no_run_opens_another_run_than_its_inputs(
    project: Project, planned: Plan, tmp_path: Path
) -> None:
    """Each is computed in a data folder that holds these alone, and goes to a common one then."""
    assert {run.stage for run in planned.runs.values()} == STAGES.keys()
    evaluated = {run.settings["protocol"] for run in planned.stage("evaluate")}
    assert evaluated == {*protocols.names()} - STUDIES
    for number, run in enumerate(planned.runs.values()):
        made = compute_alone(project, run, tmp_path / str(number))
        target = project.data / run.location
        target.parent.mkdir(exist_ok=True)
        made.rename(target)


def compute_alone(project: Project, run: Run, data: Path) -> Path:
    for location in {RAW, *run.inputs.values()}:
        link = data / location
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(project.data / location)
    return stages.execute(data, run)


def test_a_declared_input_is_missed(planned: Plan, tmp_path: Path) -> None:
    """So that the test above would notice."""
    (run, *_) = planned.stage("train-student")
    with pytest.raises(Exception, match="this run has not been made"):
        stages.execute(tmp_path, run)
