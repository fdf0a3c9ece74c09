"""Trials: they see no test image, and what diverges is a result."""

from __future__ import annotations

import math
import re
from typing import Any

import pyarrow.parquet as pq
import pytest
from project import Project

from distillery.core.errors import Diverged
from distillery.data.info import part_file
from distillery.planning.plan import Plan
from distillery.runs import stages
from distillery.runs.artifact import Artifact
from distillery.runs.run import Run
from distillery.training import loop

# A rate at which the loss is not finite after two epochs.
DIVERGING = {"lr": 100, "weight_decay": 10}
CHANGES: dict[str, Any] = {
    "methods": {"wild": {"method": "ce", "training": DIVERGING}},
    "tuning": {
        "pair": "p",
        "methods": {"ce": {"vary": [{"training": {"lr": 0.02}}, {"training": DIVERGING}]}},
    },
}


@pytest.fixture(scope="module")
def planned(shared_project: Project) -> Plan:
    return shared_project.plan(CHANGES, "trials")


def trial(planned: Plan, lr: float) -> Run:
    (found,) = [run for run in planned.stage("trial") if run.settings["training"]["lr"] == lr]
    return found


def test_a_trial_never_reads_the_test_set(project: Project, planned: Plan) -> None:
    """Without the file it is what it is with it; a student's training fails."""
    run = trial(planned, 0.05)
    for location in run.inputs.values():
        prepared = project.make(planned, planned.runs[location])
    prepared = Artifact(project.data / run.inputs["prepared"])
    prepared.file(part_file("test")).unlink()
    metrics = Artifact(stages.execute(project.data, run)).json("metrics.json")
    assert metrics.keys() == {"validation_top1"}
    (student,) = {row.run for row in planned.rows if row.method == "wild"}
    project.make(planned, planned.runs[planned.runs[student].inputs["split"]])
    with pytest.raises(Exception, match="missing"):
        stages.execute(project.data, planned.runs[student])


def test_a_trial_is_measured_on_the_images_that_it_does_not_learn_from(
    shared_project: Project, planned: Plan
) -> None:
    run = trial(planned, 0.05)
    accuracy = shared_project.make(planned, run).json("metrics.json")["validation_top1"]
    split = Artifact(shared_project.data / run.inputs["split"])
    count = len(split.file("validation.csv").read_text().splitlines()) - 1
    total = pq.read_metadata(
        Artifact(shared_project.data / run.inputs["prepared"]).file(part_file("train"))
    ).num_rows
    assert count == round(0.2 * total)
    hits = accuracy * count / 100
    assert hits == pytest.approx(round(hits), abs=1e-6)


def test_a_trial_that_diverges_is_finished_and_a_student_fails(
    shared_project: Project, planned: Plan
) -> None:
    found = shared_project.make(planned, trial(planned, 100)).json("metrics.json")
    assert found.keys() == {"diverged"}
    assert re.search(r"^resnet8 by 'ce': its outputs are not finite.* epoch 1", found["diverged"])
    (student,) = {row.run for row in planned.rows if row.method == "wild"}
    with pytest.raises(Diverged, match=r"not finite.* epoch 1"):
        shared_project.make(planned, planned.runs[student])


@pytest.mark.parametrize(("weight", "expected"), [(math.nan, Diverged), (1.0, RuntimeError)])
def test_a_step_that_fails_with_weights_that_are_not_finite_has_diverged(
    project: Project,
    planned: Plan,
    monkeypatch: pytest.MonkeyPatch,
    weight: float,
    expected: type[Exception],
) -> None:
    """As decompositions do; any other failure is one."""
    run = trial(planned, 0.02)
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])

    def failing(distiller: Any, *arguments: Any, **others: Any) -> None:
        for each in distiller.parameters():
            each.data.fill_(weight)
        raise RuntimeError("no convergence")

    monkeypatch.setattr(loop, "training_step", failing)
    if expected is Diverged:
        metrics = Artifact(stages.execute(project.data, run)).json("metrics.json")
        assert "weights are not finite in epoch 1, step 1" in metrics["diverged"]
    else:
        with pytest.raises(RuntimeError, match="no convergence"):
            stages.execute(project.data, run)
