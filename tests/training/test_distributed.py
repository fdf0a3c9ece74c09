"""Two processes compute what one does, stop when they are asked to, and resume."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from gloo import be_worker, free_port, in_group, in_processes, write_task
from processes import Command, wait_for
from project import Project
from stopping import stopping_after
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from distillery.core.files import checksum
from distillery.core.locks import try_lock
from distillery.methods import registry as methods
from distillery.methods.base import Batch, Context, Weights
from distillery.models.base import Classifier, FeatureRecorder, ModelSpec, Outputs
from distillery.runs.run import Run
from distillery.training import checkpoint, distributed, loop
from distillery.training import run as training_run
from distillery.training.distiller import Distiller

IMAGES, BATCH, STEPS = 24, 8, 4


def _coupled(rows: Tensor) -> Tensor:
    """A loss in which every row meets every other one."""
    return torch.logsumexp(rows @ rows.T, dim=1).mean() + rows.sin().sum()


def _rows() -> Tensor:
    return torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _share(rows: Tensor, rank: int, group: int) -> Tensor:
    """Return every second image, of which each has ``group`` rows."""
    return rows.unflatten(0, (-1, group))[rank::2].flatten(0, 1)


def _gathered(rank: int, group: int) -> dict[str, Tensor]:
    own = _share(_rows(), rank, group).clone().requires_grad_()
    joined = distributed.gather(own, group)
    loss = _coupled(joined)
    loss.backward()
    return {"joined": joined.detach(), "loss": loss.detach(), "gradient": own.grad / 2}


@pytest.mark.parametrize("group", [1, 3])
def test_gathering_keeps_order_and_gradient(tmp_path: Path, group: int) -> None:
    whole = _rows().requires_grad_()
    loss = _coupled(whole)
    loss.backward()
    assert whole.grad is not None
    found = in_group(2, _gathered, tmp_path, group)
    for rank, part in enumerate(found):
        assert torch.equal(part["joined"], whole)
        torch.testing.assert_close(part["loss"], loss.detach(), rtol=1e-12, atol=1e-12)
        # Averaging over processes divides by their number.
        expected = _share(whole.grad, rank, group)
        torch.testing.assert_close(part["gradient"], expected, rtol=1e-12, atol=1e-12)


class _Linear(Classifier):
    """A student whose images do not meet in it, as they would in batch normalisation."""

    head_path = "fc"

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(12, 6)
        self.fc = nn.Linear(6, 3)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        return self.stem(images.flatten(1)).tanh()[:, :, None, None]


OPTIONS: dict[str, dict[str, Any]] = {
    "infonce": {"dim": 4},
    "crd": {"dim": 4, "negatives": 7},
    "kd": {},
    # Has running centroids, which every process keeps for itself.
    "aecrd": {"dim": 4, "pairs": {"policy": "centroid"}},
    "fsecd": {"space": "linear", "level": "class"},
}


def _steps(rank: int, method: str, processes: int = 2) -> dict[str, Any]:
    """Train a few steps in double precision; return losses, gradients and the final state."""
    torch.manual_seed(0)
    labels = torch.arange(IMAGES) % 3
    images = torch.randn(IMAGES, 1, 3, 4, dtype=torch.float64)
    teacher = Outputs(*(torch.randn(IMAGES, n, dtype=torch.float64) for n in (3, 5)))
    specs = [ModelSpec("linear", 3, 1, 4, width, (), 0) for width in (6, 5)]
    kind, kd = methods.load(method), methods.load("kd")
    context = Context(*specs, labels, seed=1)
    whole = Distiller(
        _Linear(),
        [kind(kind.Options(**OPTIONS[method]), context)],
        Weights(ce=1, kd=0.5, method=0.8),
        [kd(kd.Options(), context)],
        gather=distributed.gather if processes > 1 else None,
    ).double()
    model = whole
    if processes > 1:
        # Without copying the buffers of the first process: they have to agree by themselves.
        model = DistributedDataParallel(whole, find_unused_parameters=True, broadcast_buffers=False)
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.1, momentum=0.9)
    found = []
    for step in range(STEPS):
        rows = torch.randperm(IMAGES)[:BATCH][rank::processes]
        batch = Batch(rows, labels[rows], epoch=0, step=step)
        computed = model(images[rows], [Outputs(teacher[0][rows], teacher[1][rows])], batch)
        computed.loss.backward()
        gradients = {name: value.grad.clone() for name, value in whole.named_parameters()}
        found.append({"terms": dict(computed.terms), "gradients": gradients})
        optimizer.step()
        optimizer.zero_grad()
        whole.after_step()
    return {"steps": found, "state": whole.state_dict()}


@pytest.mark.parametrize("method", OPTIONS)
def test_two_processes_take_the_steps_of_one(tmp_path: Path, method: str) -> None:
    alone = _steps(0, method, processes=1)
    first, second = in_group(2, _steps, tmp_path, method)
    for one, *two in zip(alone["steps"], first["steps"], second["steps"], strict=True):
        for name, expected in one["terms"].items():
            # A term over gathered outputs is the same everywhere, the others are means of shares.
            found = [part["terms"][name] for part in two]
            if name.startswith("method_") and method != "kd":
                assert torch.equal(*found), name
            mean = torch.stack(found).mean()
            torch.testing.assert_close(mean, expected, rtol=1e-12, atol=1e-12, msg=name)
        for name, expected in one["gradients"].items():
            for part in two:
                torch.testing.assert_close(
                    part["gradients"][name], expected, rtol=1e-12, atol=1e-12, msg=name
                )
    assert alone["state"].keys() == first["state"].keys()
    for name, expected in alone["state"].items():
        assert torch.equal(first["state"][name], second["state"][name]), name
        torch.testing.assert_close(first["state"][name], expected, rtol=1e-12, atol=1e-12, msg=name)
    banks = {name for name in alone["state"] if name.endswith("_bank")}
    assert len(banks) == (2 if method == "crd" else 0)


def _agreeing(rank: int) -> dict[str, Tensor]:
    norm = nn.BatchNorm1d(2)
    norm(torch.full((4, 2), float(rank)) + torch.rand(4, 2))
    distributed.agree(norm)
    return norm.state_dict()


def test_processes_agree_on_running_statistics(tmp_path: Path) -> None:
    first, second = in_group(2, _agreeing, tmp_path)
    for name in first:
        assert torch.equal(first[name], second[name])
    assert first["running_mean"].max() < 0.1


# Whole runs


def prepared_run(project: Project, **training: int) -> Run:
    """Return a student of two processes whose inputs are there."""
    data = {"split": {"per_class": 16}}
    planned = project.plan({"data": data, "compute": {"processes": 2}, "training": training})
    (run,) = planned.stage("train-student")
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    return run


def _work(rank: int, scratch: Path, port: str, stop_in_second: int) -> None:
    loop.training_step = stopping_after(rank * stop_in_second)
    # Both measure a share of the test images.
    training_run.batch_size = lambda images: 100
    be_worker(rank, 2, scratch, port)


def work(project: Project, run: Run, name: str, stop_in_second: int = 0) -> list[int | None]:
    """Compute a run in two workers; return their exit statuses."""
    scratch = project.folder / name
    write_task(project, run, scratch)
    return in_processes(2, _work, scratch, free_port(), stop_in_second)


def results(folder: Path) -> dict[str, str]:
    return {path.name: checksum(path) for path in sorted(folder.iterdir())}


def test_a_signal_to_one_process_stops_both_and_they_resume_with_the_same_bits(
    project: Project,
) -> None:
    run = prepared_run(project, epochs=3, batch_size=6)
    assert work(project, run, "straight") == [0, 0]
    out = project.folder / "straight" / "out"
    straight = results(out)
    assert list(straight) == [
        "history.parquet",
        "metrics.json",
        "model.safetensors",
        "test.parquet",
    ]
    # They agree on stopping in step 20, in the middle of the first epoch.
    assert work(project, run, "stopped", stop_in_second=5) == [143, 143]
    told = json.loads((project.folder / "stopped" / distributed.FAILURE).read_text())
    assert told["kind"] == "Interrupted"
    saved = checkpoint.load(project.folder / "stopped")
    assert saved
    assert (saved["state"]["epoch"], saved["state"]["step"]) == (0, 20)
    assert work(project, run, "stopped") == [0, 0]
    assert results(project.folder / "stopped" / "out") == straight
    # The measured accuracy is that of the stored network.
    table = pq.read_table(out / "test.parquet")
    found = np.stack(table["logits"].to_numpy()).argmax(axis=1) == table["label"].to_numpy()
    measured = json.loads((out / "metrics.json").read_text())["test_top1"]
    assert measured == pytest.approx(100 * found.mean())


def running(run: Run) -> list[str]:
    """Return the command lines of all agents and workers of a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode()
            if run.key in line and "distillery.training" in line:
                found.append(line)
    return found


def command(project: Project, run: Run) -> Command:
    options = ("--params", str(project.folder / "tiny.yaml"), "--data", str(project.data))
    return Command(project.folder, "run", run.name, *options)


NEEDS_PROC = pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="looks for processes in /proc"
)


@NEEDS_PROC
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT])
def test_a_run_can_be_stopped_before_its_processes_train(
    project: Project, number: signal.Signals
) -> None:
    run = prepared_run(project)
    started = command(project, run)
    wait_for(lambda: running(run), "an agent")
    started.send(number)
    assert started.status() == 143
    assert started.output().splitlines()[-1] == (
        "distillery: stopped; the next start resumes from the last checkpoint, if any"
    )
    assert not running(run)
    assert not (project.data / run.location).exists()


@pytest.mark.slow
def test_processes_of_an_earlier_start_are_waited_for(
    project: Project,
) -> None:
    """As after a SIGKILL of their parent: the agent of the earlier start still has its lock."""
    run = prepared_run(project, epochs=1, evaluate_every=1)
    held = try_lock(project.data / ".scratch" / run.key / "processes.lock")
    assert held
    with held:
        waiting = command(project, run)
        wait_for(lambda: "of this run are not through; waiting" in waiting.output(), "a line")
        assert not (project.data / run.location).exists()
    assert waiting.status() == 0
    assert (project.data / run.location).exists()


@NEEDS_PROC
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process_behind_and_resumes(
    project: Project, number: signal.Signals
) -> None:
    epochs = 12
    run = prepared_run(project, epochs=epochs, evaluate_every=epochs)
    first = command(project, run)
    wait_for(lambda: "train 1/" in first.output(), "the first epoch")
    first.send(number)
    if number != signal.SIGKILL:
        # Impatience does no harm.
        time.sleep(0.1)
        first.send(number)
        assert first.status() == 143
        assert not running(run)
    else:
        # The workers notice the death of their parent.
        first.status()
        wait_for(lambda: not running(run), "the end of the workers")
    scratch = project.data / ".scratch" / run.key
    saved = checkpoint.load(scratch)
    assert saved
    assert 1 <= saved["state"]["epoch"] < epochs
    again = command(project, run)
    assert again.status() == 0, again.output()
    history = pd.read_parquet(project.data / run.location / "history.parquet")
    assert list(history["epoch"]) == list(range(1, epochs + 1))
    assert "train 1/" not in again.output()
    assert not scratch.exists()
