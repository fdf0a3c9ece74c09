"""The command line: one line and a status of its own for every expected failure."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from project import Project

from distillery import cli
from distillery.artifacts import Artifact
from distillery.plan import Plan


def call(
    project: Project, *arguments: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Call the command line in this process and return status, output and errors."""
    monkey = pytest.MonkeyPatch()
    monkey.chdir(project.folder)
    monkey.setattr(sys, "argv", ["distillery", *arguments])
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        monkey.undo()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def planned(project: Project) -> Plan:
    return project.plan()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["split", "nothing"], "unknown run 'nothing'"),
        (["plan", "--params", "none.yaml"], "none.yaml: no such params file"),
        (["report", "--params", "tiny.yaml"], "this run has not been made; run snakemake to make"),
        (["gc", "--params", "methods.yaml"], "no params file names the runs to keep"),
        (["methods", "crdd"], "unknown method 'crdd'; did you mean 'crd'?"),
        (["import-teacher", "none.pth", "--arch", "resnet8"], "none.pth: no such file"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    project: Project,
    planned: Plan,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    if "--params" not in arguments and arguments[0] != "methods":
        arguments = [*arguments, "--params", "tiny.yaml"]
    status, _, errors = call(project, *arguments, capsys=capsys)
    assert status == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_a_run_without_its_inputs_says_what_to_do(
    project: Project, planned: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    run = planned.stage("train-student")[0]
    status, _, errors = call(
        project, "train-student", run.name, "--params", "tiny.yaml", capsys=capsys
    )
    assert status == 2
    assert f"input of {run.location}); run snakemake" in errors


def test_a_run_of_another_stage_is_refused(
    project: Project, planned: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    run = planned.stage("split")[0]
    status, _, errors = call(project, "prepare", run.name, "--params", "tiny.yaml", capsys=capsys)
    assert status == 2
    assert "stage 'split'" in errors


def test_plan_lists_keys_and_what_is_done(
    project: Project, planned: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    project.make(planned, planned.stage("prepare")[0])
    status, out, _ = call(project, "plan", "--params", "tiny.yaml", "--json", capsys=capsys)
    runs = {run["stage"]: run for run in json.loads(out)["runs"]}
    assert status == 0
    assert runs["prepare"]["done"]
    assert not runs["collect"]["done"]
    assert runs["split"]["run"].endswith(runs["split"]["key"])
    _, out, _ = call(project, "plan", "--params", "tiny.yaml", capsys=capsys)
    assert (
        out.splitlines()[-1] == f"{len(planned.runs)} runs, 1 done, {len(planned.runs) - 1} to do"
    )


def test_verify_names_the_damaged_file(
    project: Project, planned: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.make(planned, planned.stage("prepare")[0]).path / "test.parquet"
    assert call(project, "verify", capsys=capsys)[0] == 0
    path.write_bytes(path.read_bytes()[:-1])
    status, out, _ = call(project, "verify", capsys=capsys)
    assert status == 3
    assert "test.parquet: " in out
    assert "1 problems" in out


def test_gc_removes_only_what_no_params_file_wants(
    project: Project, planned: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = project.make(planned, planned.stage("split")[0]).path
    other = project.plan({"data": {"split": {"per_class": 3}}}, "other")
    dropped = project.make(other, other.stage("split")[0]).path
    _, out, _ = call(project, "gc", "--params", "tiny.yaml", capsys=capsys)
    assert dropped.name in out
    assert kept.name not in out
    assert dropped.exists()
    call(project, "gc", "--params", "tiny.yaml", "--remove", capsys=capsys)
    assert kept.exists()
    assert not dropped.exists()


def test_starting_needs_no_torch() -> None:
    code = "import sys, distillery.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_second_writer_is_told_and_a_stopped_run_resumes(project: Project) -> None:
    changes = {"training": {"epochs": 2000}}
    planned = project.plan(changes)
    run = planned.stage("train-student")[0]
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    command = [sys.executable, "-m", "distillery", "train-student", run.name]
    command += ["--params", str(project.params(changes)), "--data", str(project.data)]
    log = project.folder / "log"
    with log.open("w") as file:
        first = subprocess.Popen(command, stderr=file)
        while "train 2/" not in log.read_text():
            assert first.poll() is None, log.read_text()
            time.sleep(0.05)
        second = subprocess.run(command, capture_output=True, text=True)
        assert second.returncode == 75
        assert "another process is computing this run" in second.stderr
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=60) == 143
    checkpoint = project.data / ".scratch" / run.name / "checkpoint.pt"
    assert checkpoint.exists()
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    third = subprocess.run(command, capture_output=True, text=True)
    assert third.returncode == 3
    assert "checkpoint.pt: unreadable" in third.stderr
    # What the message advises.
    shutil.rmtree(checkpoint.parent)
    short = project.plan(name="tiny")
    assert Artifact(project.make(short, short.stage("train-student")[0]).path).problems() == []
