"""Whole runs of several processes: two nodes, another number of them, every stage that trains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gloo import be_worker, free_port, in_processes, write_task
from processes import Command
from project import Project
from torch import nn, optim

from distillery.core.errors import DamagedArtifact
from distillery.planning.plan import Plan
from distillery.runs.produce import produce
from distillery.runs.run import Run
from distillery.training import checkpoint
from distillery.training.checkpoint import TrainingState

pytestmark = pytest.mark.slow

SMALL = {"data": {"split": {"per_class": 4}}, "training": {"epochs": 2, "batch_size": 16}}


def planned_for(project: Project, processes: int, **changes: object) -> Plan:
    return project.plan({**SMALL, "compute": {"processes": processes}, **changes}, f"of{processes}")


def made(project: Project, run: Run, processes: int, environment: dict[str, str]) -> str:
    """Compute a run as a user does; return what is said."""
    program = [sys.executable, "-m", "distillery", "run", run.name, "--data", str(project.data)]
    done = subprocess.run(
        [*program, "--params", str(project.folder / f"of{processes}.yaml")],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_two_nodes_make_what_one_makes(project: Project) -> None:
    """The documented lines, on two ports of loopback: bits are those of two processes of a node."""
    planned = planned_for(project, 2)
    (run,) = planned.stage("train-student")
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    made(project, run, 2, {})
    weights = project.data / run.location / "model.safetensors"
    alone = weights.read_bytes()
    shutil.rmtree(project.data / run.location)
    port = free_port()
    address = {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": port}
    scratch = project.data / ".scratch" / run.key
    second = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "torchrun"),
            "--nproc-per-node=1",
            "-m",
            "distillery.training.worker",
            str(scratch),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", **address, "PET_NODE_RANK": "1"},
        cwd=project.folder,
    )
    try:
        made(project, run, 2, {**address, "PET_NODE_RANK": "0"})
        assert second.wait(60) == 0
    finally:
        second.kill()
    assert weights.read_bytes() == alone


def test_processes_must_be_a_multiple_of_the_nodes(project: Project) -> None:
    planned = planned_for(project, 2)
    (run,) = planned.stage("train-student")
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    command = Command(
        project.folder,
        *("run", run.name, "--params", str(project.folder / "of2.yaml")),
        *("--data", str(project.data)),
        before=_three_nodes,
    )
    assert command.status() == 2
    assert command.output().splitlines()[-1] == (
        "distillery: PET_NNODES=3: compute.processes (2) must be a multiple of the nodes"
    )


def _three_nodes() -> None:
    os.environ["PET_NNODES"] = "3"


def test_another_number_of_processes_is_another_run(project: Project) -> None:
    """Its checkpoint has a folder of its own; one put there by hand is refused."""
    keys = {planned_for(project, n).stage("train-student")[0].key for n in (1, 2, 4)}
    assert len(keys) == 3
    planned = planned_for(project, 1)
    (run,) = planned.stage("train-student")
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    scratch = project.data / ".scratch" / run.key
    scratch.mkdir(parents=True)
    model = nn.Linear(1, 1)
    state = TrainingState(other_sums=[{}])
    checkpoint.save(scratch, state, model, optim.SGD(model.parameters(), 0.1))
    with pytest.raises(
        DamagedArtifact, match="is one of 2 processes, and this run has 1; delete the folder"
    ):
        project.make(planned, run)


def test_every_stage_that_trains_does_so_in_four_processes(project: Project) -> None:
    """A teacher, a student with memory banks, and one whose method has a first stage."""
    planned = planned_for(
        project,
        4,
        methods={"crd": {"options": {"negatives": 16}}, "fsp": {}},
    )
    trained = ("train-teacher", "train-student")
    for run in planned.runs.values():
        if run.stage in trained:
            assert shared_out(project, run, 4) == [0] * 4
            out = project.data / ".scratch" / run.key / "out"
            assert 0 < json.loads((out / "metrics.json").read_text())["test_top1"] <= 100
            # What the processes wrote is published as it lies there.
            produce(project.data, run, lambda work: None)
        elif run.stage in ("prepare", "split", "embed"):
            project.make(planned, run)


def shared_out(project: Project, run: Run, processes: int) -> list[int | None]:
    """Compute a run in forks that believe to be torch's workers; return their exit statuses."""
    scratch = project.data / ".scratch" / run.key
    write_task(project, run, scratch)
    return in_processes(processes, be_worker, processes, scratch, free_port())


def test_batch_normalisation_of_the_whole_batch_is_refused_on_cpus(project: Project) -> None:
    planned = project.plan(
        {**SMALL, "compute": {"processes": 2, "sync_batchnorm": True}}, "synchronised"
    )
    (run,) = planned.stage("train-student")
    for location in run.inputs.values():
        if planned.runs[location].stage != "train-teacher":
            project.make(planned, planned.runs[location])
    command = Command(
        project.folder,
        *("run", run.name, "--params", str(project.folder / "synchronised.yaml")),
        *("--data", str(project.data)),
    )
    assert command.status() == 2
    assert command.output().splitlines()[-1] == (
        "distillery: compute.sync_batchnorm: torch synchronises batch normalisation on "
        "accelerators alone, and this machine shows none; leave it out"
    )
