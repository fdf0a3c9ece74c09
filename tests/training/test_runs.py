"""Training runs as users start them: results, determinism, interruption, several processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate.state import AcceleratorState
from project import Project
from safetensors.torch import load_file
from stopping import stopping_after

from distillery.core.errors import DistilleryError, Interrupted
from distillery.models.base import Outputs
from distillery.models.inference import infer
from distillery.planning.plan import Plan
from distillery.runs import stages
from distillery.runs.artifact import Artifact
from distillery.runs.run import Run
from distillery.training import loop
from distillery.training import run as training_run

METHODS = {
    "ce": {},
    "kd": {},
    "crd": {"options": {"negatives": 32, "dim": 16}},
    "infonce": {"options": {"dim": 16}},
    "crd-kd": {"method": "crd", "weights": {"kd": 1}, "options": {"negatives": 32, "dim": 16}},
    # Two methods with a first stage: one trains its own parts alone, one the student as well.
    "ft": {"options": {"pretraining_epochs": 2}},
    "fsp": {"options": {"pretraining_epochs": 2}},
    # Class-balanced batches, and methods that log diagnostics.
    "balanced": {"method": "ce", "training": {"instances": 4}},
    "aecrd": {"options": {"dim": 16}},
    "rtk": {"options": {"k": 2}},
}
LOGGING = ("aecrd", "rtk")


def student(planned: Plan, method: str) -> Run:
    (found,) = {row.run for row in planned.rows if row.table == "main" and row.method == method}
    return planned.runs[found]


@pytest.fixture(scope="module")
def planned(shared_project: Project) -> Plan:
    return shared_project.plan({"methods": METHODS}, "runs")


@pytest.mark.parametrize("method", METHODS)
def test_a_student_is_trained(shared_project: Project, planned: Plan, method: str) -> None:
    artifact = shared_project.make(planned, student(planned, method))
    files = ["history.parquet", "metrics.json", "model.safetensors", "test.parquet"]
    logged = ["diagnostics.parquet"] if method in LOGGING else []
    assert artifact.files == [*logged, *files]
    metrics = artifact.json("metrics.json")
    assert metrics["epochs"] == 3
    assert 0 <= metrics["test_top1"] <= metrics["best_test_top1"] <= 100
    history = pd.read_parquet(artifact.file("history.parquet"))
    first_stage = history[history["phase"] == "pretrain"]
    assert list(first_stage["epoch"]) == ([1, 2] if method in ("ft", "fsp") else [])
    assert first_stage["loss"].is_monotonic_decreasing
    history = history[history["phase"] == "train"]
    assert list(history["epoch"]) == [1, 2, 3]
    assert np.isfinite(history.dropna(axis=1).select_dtypes("number")).all(axis=None)
    assert history["ce"].iloc[-1] < history["ce"].iloc[0]


def test_logged_terms_add_up_to_the_loss(shared_project: Project, planned: Plan) -> None:
    artifact = shared_project.make(planned, student(planned, "crd-kd"))
    history = pd.read_parquet(artifact.file("history.parquet"))
    own = history["method_student_anchor"] + history["method_teacher_anchor"]
    np.testing.assert_allclose(
        history["loss"], history["ce"] + history["kd"] + 0.8 * own, rtol=1e-5
    )


def test_a_run_repeats_bit_for_bit(
    shared_project: Project, planned: Plan, project: Project
) -> None:
    run = student(planned, "crd")
    first = shared_project.make(planned, run)
    second = project.make(planned, run)
    assert first.manifest["files"] == second.manifest["files"]


def test_all_methods_start_from_the_same_student_and_see_the_same_images(
    shared_project: Project,
) -> None:
    # With a learning rate of almost nothing the weights stay what they were.
    planned = shared_project.plan(
        {"!methods": {"ce": {}, "crd": METHODS["crd"]}, "training": {"epochs": 1, "lr": 1e-30}},
        "still",
    )
    first, second = (shared_project.make(planned, student(planned, m)) for m in ("ce", "crd"))
    one, other = (load_file(run.file("model.safetensors")) for run in (first, second))
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-20, msg=name)


@pytest.mark.parametrize(
    ("method", "stops"),
    [
        ("ce", [1]),
        ("ce", [3]),
        ("crd-kd", [2]),
        ("crd-kd", [1, 1, 1]),
        ("crd-kd", [2, 4]),
        ("ft", [2]),
        ("ft", [8]),
        ("fsp", [1, 5, 4]),
        ("balanced", [3]),
        ("aecrd", [1, 3]),
        ("rtk", [4]),
    ],
)
def test_an_interrupted_run_ends_with_the_same_bits(
    shared_project: Project,
    planned: Plan,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    stops: list[int],
) -> None:
    run = student(planned, method)
    straight = shared_project.make(planned, run)
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    for steps in stops:
        with monkeypatch.context() as patched:
            patched.setattr(loop, "training_step", stopping_after(steps))
            with pytest.raises(Interrupted):
                stages.execute(project.data, run)
    resumed = Artifact(stages.execute(project.data, run))
    assert resumed.manifest["files"] == straight.manifest["files"]


def test_a_killed_run_resumes_with_the_same_bits(
    shared_project: Project, planned: Plan, project: Project
) -> None:
    """SIGKILL at an arbitrary moment: the next start ends with the same bits."""
    run = student(planned, "crd")
    straight = shared_project.make(planned, run)
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    params = project.params({"methods": METHODS}, "runs")
    command = [sys.executable, "-m", "distillery", "run", run.name]
    command += ["--params", str(params), "--data", str(project.data)]
    process = subprocess.Popen(command, cwd=project.folder)
    scratch = project.data / ".scratch" / run.key
    while process.poll() is None and not scratch.exists():
        time.sleep(0.01)
    time.sleep(0.2)
    process.kill()
    process.wait()
    status = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert status.returncode == 0, status.stderr
    assert Artifact(project.data / run.location).manifest["files"] == straight.manifest["files"]


def test_diagnostics_are_means_over_the_epoch(shared_project: Project, planned: Plan) -> None:
    artifact = shared_project.make(planned, student(planned, "rtk"))
    logged = pd.read_parquet(artifact.file("diagnostics.parquet"))
    assert list(logged.columns) == ["epoch", "name", "row", "column", "value"]
    chosen = logged[logged["name"] == "selection_frequency"]
    assert set(chosen["epoch"]) == {1, 2, 3}
    # Of three teacher layers two are selected in every step.
    assert np.allclose(chosen.groupby("epoch")["value"].sum(), 2)
    assert (chosen["column"] == -1).all()
    attention = logged[logged["name"] == "attention"]
    assert (attention.groupby("epoch").size() == 9).all()


def test_a_loss_that_is_not_finite_is_an_error_with_a_reason(project: Project) -> None:
    planned = project.plan({"methods": {"ce": {"weights": {"ce": 1e39}}}})
    with pytest.raises(DistilleryError, match=r"^resnet8 .*'loss' .* epoch 1, step 1:"):
        project.make(planned, student(planned, "ce"))


def test_validation_is_measured_when_held_out(project: Project) -> None:
    planned = project.plan({"data": {"split": {"per_class": 8, "validation_fraction": 0.2}}})
    metrics = project.make(planned, student(planned, "ce")).json("metrics.json")
    assert 0 < metrics["validation_top1"] <= 100


def test_mixed_precision_trains_and_is_measured_about_as_single_precision_is(
    shared_project: Project, planned: Plan, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_in = set()

    def watched(*given: Any) -> Iterator[Outputs]:
        for outputs in infer(*given):
            measured_in.add(outputs.logits.dtype)
            yield outputs

    monkeypatch.setattr(training_run, "infer", watched)
    single = shared_project.make(planned, student(planned, "crd-kd")).json("metrics.json")
    mixed = project.plan({"methods": METHODS, "compute": {"precision": "bf16"}})
    # A process keeps the precision of its first run, and a test is not a process.
    AcceleratorState._reset_state(reset_partial_state=True)
    metrics = project.make(mixed, student(mixed, "crd-kd")).json("metrics.json")
    AcceleratorState._reset_state(reset_partial_state=True)
    assert metrics["loss"] == pytest.approx(single["loss"], rel=0.02)
    assert metrics["loss"] != single["loss"]
    assert metrics["test_top1"] == pytest.approx(single["test_top1"], abs=5)
    assert measured_in == {torch.bfloat16}


@pytest.mark.slow
def test_a_compiled_student_trains_as_an_eager_one_and_resumes_with_the_same_bits(
    shared_project: Project,
    planned: Plan,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    eager = shared_project.make(planned, student(planned, "crd-kd"))
    compiled = project.plan({"methods": METHODS, "compute": {"compile": True}})
    run = student(compiled, "crd-kd")
    assert run.key != eager.key
    found = project.make(compiled, run)
    assert found.manifest["files"].keys() == eager.manifest["files"].keys()
    one, other = (load_file(each.file("model.safetensors")) for each in (eager, found))
    assert one.keys() == other.keys()
    loss, expected = (each.json("metrics.json")["loss"] for each in (found, eager))
    assert loss == pytest.approx(expected, rel=1e-3)
    shutil.rmtree(project.data / run.location)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "training_step", stopping_after(2))
        with pytest.raises(Interrupted):
            stages.execute(project.data, run)
    # What was compiled in this process is compiled anew, as after a kill.
    torch.compiler.reset()
    resumed = Artifact(stages.execute(project.data, run))
    assert resumed.manifest["files"] == found.manifest["files"]


def test_live_teachers_see_the_channels_of_their_student(shared_project: Project) -> None:
    changes = {
        "data": {"channels": 3},
        "!teachers": {"t": {"arch": "resnet8", "channels": [2]}},
        "!pairs": {"p": {"teacher": "t", "student": "resnet8", "channels": [2]}},
        "!methods": {"at": {}},
        "training": {"epochs": 1},
    }
    planned = shared_project.plan(changes, "channels")
    artifact = shared_project.make(planned, student(planned, "at"))
    weights = load_file(artifact.file("model.safetensors"))
    assert weights["conv1.weight"].shape[1] == 1


def test_two_processes_train_a_batch_coupled_method(project: Project) -> None:
    changes = {
        "methods": METHODS,
        "compute": {"processes": 2},
        "training": {"epochs": 2},
    }
    planned = project.plan(changes)
    run = student(planned, "crd-kd")
    for location in _closure(planned, run):
        _in_process_of_its_own(project, changes, planned.runs[location])
    artifact = _in_process_of_its_own(project, changes, run)
    history = pd.read_parquet(artifact.file("history.parquet"))
    assert list(history["epoch"]) == [1, 2]
    assert history["loss"].is_monotonic_decreasing


def _in_process_of_its_own(project: Project, changes: dict[str, Any], run: Run) -> Artifact:
    """Compute a run as the command line does it: torchrun forks."""
    command = [sys.executable, "-m", "distillery", "run", run.name]
    command += ["--params", str(project.params(changes)), "--data", str(project.data)]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Artifact(project.data / run.location)


def _closure(planned: Plan, run: Run) -> list[str]:
    found: list[str] = []
    for location in run.inputs.values():
        found += [*_closure(planned, planned.runs[location]), location]
    return list(dict.fromkeys(found))
