"""Two processes compute the loss and the gradient of one process with the whole batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from project import Project

from distillery.artifacts import Artifact

# Run by two processes: each takes every second row, and the gradients are averaged as DDP does.
SCRIPT = """
import sys, torch, torch.distributed as dist
from torch import nn
from helpers import context
from distillery.methods import registry
from distillery.methods.base import Batch
from distillery.models.base import Outputs
from distillery.training.distiller import Distiller
from distillery.training.distributed import gather

class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(12, 6), nn.Linear(6, 5)
    def forward(self, images, **wanted):
        embedding = self.body(images.flatten(1))
        return Outputs(self.head(embedding), embedding)

def run(name, options, rank, world):
    torch.manual_seed(0)
    labels = torch.arange(40) % 5
    kind = registry.load(name)
    method = kind(kind.Options(**options), context(6, 4, labels=labels))
    distiller = Distiller(Linear(), method, kind.weights, None, gather if world > 1 else None)
    distiller.double()
    rows = torch.arange(8, 24)
    images = torch.randn(40, 1, 3, 4, dtype=torch.float64)
    teacher = torch.randn(40, 4, dtype=torch.float64)
    losses = []
    for step in range(3):
        mine = rows[rank::world]
        outputs = Outputs(torch.zeros(len(mine), 5, dtype=torch.float64), teacher[mine])
        found = distiller(images[mine], outputs, Batch(mine, labels[mine], 0, step))
        distiller.zero_grad()
        found.loss.backward()
        for parameter in distiller.parameters():
            if world > 1:
                dist.all_reduce(parameter.grad)
            parameter.grad /= world
        with torch.no_grad():
            for parameter in distiller.parameters():
                parameter -= 0.1 * parameter.grad
        method.after_step()
        losses.append({k: v for k, v in found.terms.items() if k.startswith("method")})
    return losses, distiller.state_dict()

dist.init_process_group("gloo")
rank = dist.get_rank()
for name, options in (("infonce", {"dim": 4}), ("crd", {"dim": 4, "negatives": 10})):
    losses, state = run(name, options, rank, 2)
    expected_losses, expected = run(name, options, 0, 1)
    for found, wanted in zip(losses, expected_losses, strict=True):
        for term in wanted:
            torch.testing.assert_close(found[term], wanted[term], rtol=1e-10, atol=1e-12)
    for key in expected:
        torch.testing.assert_close(state[key], expected[key], rtol=1e-10, atol=1e-12)
dist.destroy_process_group()
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    script = tmp_path / "compare.py"
    script.write_text(SCRIPT)
    helpers = Path(__file__).parents[1] / "golden"
    environment = {**os.environ, "PYTHONPATH": str(helpers), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(script)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_stopped_run_of_two_processes_resumes(project: Project) -> None:
    changes = {"compute": {"processes": 2}, "training": {"epochs": 400}, "!methods": {"ce": {}}}
    planned = project.plan(changes)
    for stage in ("prepare", "split"):
        project.make(planned, planned.stage(stage)[0])
    run = planned.stage("train-student")[0]
    command = [sys.executable, "-m", "distillery", "train-student", run.name]
    command += ["--params", str(project.params(changes)), "--data", str(project.data)]
    with (project.folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=project.folder, stdout=log, stderr=log)
        while "train 3/" not in (project.folder / "log").read_text():
            assert process.poll() is None, (project.folder / "log").read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 143
    assert (project.data / ".scratch" / run.name / "checkpoint.pt").exists()
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Artifact(project.data / run.location).json("metrics.json")["epochs"] == 400
