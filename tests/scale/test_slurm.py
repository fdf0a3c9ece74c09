"""The workflow on a real Slurm cluster of one node: batches, kills, a node that is taken away."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout
from one_node_cluster import Cluster, cluster, reason_for_none
from processes import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(reason_for_none() is not None, reason=str(reason_for_none())),
    pytest.mark.skipif(
        importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
        reason="needs `uv sync --extra slurm`",
    ),
]

HEAVY = os.environ.get("DISTILLERY_SCALE") == "full"

# Seconds until all jobs of a small experiment are through; the plugin looks every ten or so.
PATIENCE = 420


@pytest.fixture(scope="module")
def one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("slurm"), cores=2) as made:
        yield made


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout whose students take some seconds each."""
    made = Checkout(tmp_path / "checkout")
    made.write_params({"name": "digits", "training": {"epochs": 150, "evaluate_every": 50}})
    return made


def on_cluster(*more: str) -> tuple[str, ...]:
    """Return a call of Snakemake with the profile for clusters, impatient as a test is."""
    impatient = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10")
    return ("snakemake", "--profile", "profiles/slurm", *impatient, *more)


def test_a_cancelled_job_and_a_drained_node_cost_nothing_but_time(
    one_node: Cluster, checkout: Checkout
) -> None:
    """The job is tried again from its checkpoint, and the others wait for the node."""
    logs = checkout.folder / "logs" / "train-teacher"
    started = checkout.start(*on_cluster("--resources", "batch=8"))
    wait_for(lambda: _is_training(logs), "a training to begin", PATIENCE)
    running = one_node.jobs("RUNNING")
    assert running
    one_node.drain()
    one_node.ask("scancel", *running)
    wait_for(lambda: one_node.jobs("PENDING"), "the job to be tried again", PATIENCE)
    assert not one_node.jobs("RUNNING")
    one_node.resume()
    said, _ = started.communicate(timeout=PATIENCE)
    assert started.returncode == 0, said
    assert "0 problems" in checkout.run("distillery", "verify")
    assert "Nothing to be done" in checkout.run(*on_cluster("-n"))
    assert (checkout.folder / "reports" / "digits" / "index.html").exists()


def _is_training(logs: Path) -> bool:
    return any("train 2/" in log.read_text() for log in logs.glob("*.log"))


def test_results_are_those_of_this_machine_alone(one_node: Cluster, tmp_path: Path) -> None:
    """With GPUs asked for that are not there: scheduled as such, computed on the CPU."""
    here, there = (Checkout(tmp_path / name) for name in ("here", "there"))
    here.snakemake("--", "students")
    # Levels of the graph are what takes time on a cluster.
    shutil.copytree(here.folder / "data" / "prepared", there.folder / "data" / "prepared")
    there.run(*on_cluster("--", "students"))
    metrics = [
        {
            path.parent.name: path.read_text()
            for path in (each.folder / "data").glob("[st]*/*/metrics.json")
        }
        for each in (here, there)
    ]
    assert len(metrics[0]) == 3
    assert metrics[0] == metrics[1]


@pytest.mark.skipif(not HEAVY, reason="takes minutes: DISTILLERY_SCALE=full")
def test_a_job_at_its_time_limit_goes_on_where_it_was(one_node: Cluster, tmp_path: Path) -> None:
    """Slurm counts in minutes: a teacher of some takes more than one job."""
    made = Checkout(tmp_path / "checkout")
    made.write_params(
        {"name": "digits", "training": {"epochs": 4000, "evaluate_every": 4000}, "methods": {}}
    )
    made.snakemake("--", "prepared")
    limit = ("--set-resources", "train_teacher:runtime=1", "--retries", "12")
    made.run(*on_cluster(*limit, "--", "teachers"))
    assert "0 problems" in made.run("distillery", "verify")
    (log,) = (made.folder / "logs" / "train-teacher").glob("*.log")
    epochs = [line.split()[1] for line in log.read_text().splitlines() if "train " in line]
    assert len(epochs) == len(set(epochs)) == 4000, "no epoch is computed twice"
    assert one_node.jobs("TIMEOUT")
