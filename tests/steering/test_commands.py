"""What a person asks of runs, on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import called
import pytest
from project import Project

from distillery.core.errors import UserError
from distillery.core.locks import try_lock
from distillery.core.progress import NOTE
from distillery.planning.plan import Plan
from distillery.runs import stages
from distillery.runs.artifact import Artifact, published
from distillery.runs.produce import LOCK, SCRATCH
from distillery.runs.run import Run
from distillery.steering import redoing
from distillery.steering.choosing import chosen
from distillery.steering.output import sparkline

CHANGES = {"!methods": {"ce": {}, "kd": {}}, "seeds": [0, 1]}
Distillery = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Plan]:
    """A project in which all is done but the collecting; tests leave it so."""
    project = Project(tmp_path_factory.mktemp("made"))
    planned = project.plan(CHANGES)
    for run in planned.runs.values():
        if run.stage != "collect":
            stages.execute(project.data, run)
    return project, planned


@pytest.fixture
def distillery(
    made: tuple[Project, Plan], distillery: called.Distillery, monkeypatch: pytest.MonkeyPatch
) -> Distillery:
    """Run a command beside the project's data; return what it prints, also of a failure."""
    project, _ = made
    monkeypatch.chdir(project.folder)

    def run(*arguments: Any, status: int = 0) -> str:
        found = distillery(*arguments)
        assert found.status == status, found.out + found.error
        return found.error if status else found.out

    return run


# status


def test_status_counts_and_names_what_needs_a_look(
    made: tuple[Project, Plan], distillery: Distillery
) -> None:
    project, planned = made
    assert "13 done, 1 waiting" in distillery("status", "--params", "tiny.yaml")
    (collect,) = planned.stage("collect")
    scratch = project.data / SCRATCH / collect.key
    lock = try_lock(scratch / LOCK)
    assert lock
    noted = {"unit": "epochs", "done": 3, "total": 60, "seconds_each": 100, "at": 4e9}
    (scratch / NOTE).write_text(json.dumps(noted))
    with lock:
        told = distillery("status", "--params", "tiny.yaml")
        found = json.loads(distillery("status", "--params", "tiny.yaml", "--json"))
    assert "14 runs: 13 done, 1 running" in told
    assert f"{collect.location}  3 of 60 epochs, " in told
    assert " h left" in told
    (running,) = found["runs"]
    assert (running["run"], running["state"], running["done"]) == (collect.location, "running", 3)
    assert found["counts"]["train-student"]["done"] == 4
    log = project.folder / "logs" / "collect" / f"{collect.name}.log"
    log.parent.mkdir(parents=True)
    log.write_text("first\ndistillery: no room\n")
    (scratch / "failure.txt").write_text("some\nno room")
    told = distillery("status", "--params", "tiny.yaml")
    assert f"{collect.location}  some no room (logs/collect/{collect.name}.log)" in told
    assert distillery("log", "tiny-results").splitlines() == ["first", "distillery: no room"]
    assert distillery("log", collect.key[:6], "-n", "1") == "distillery: no room\n"
    (scratch / "failure.txt").unlink()
    assert "3 of 60 epochs; the next start goes on" in distillery("status", "--params", "tiny.yaml")
    (scratch / NOTE).unlink()


def test_status_comes_without_torch(made: tuple[Project, Plan]) -> None:
    import subprocess

    project, _ = made
    script = """
import sys
from distillery import cli
sys.argv = ["distillery", "status", "--params", "tiny.yaml"]
try:
    cli.main()
except SystemExit as end:
    assert not end.code
assert not {"torch", "pandas", "matplotlib"} & sys.modules.keys()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


# show, compare, log


def test_show_has_all_that_is_known(made: tuple[Project, Plan], distillery: Distillery) -> None:
    project, planned = made
    run = planned.stage("train-student")[2]
    told = distillery("show", "kd-s0")
    words = [line.split() for line in told.splitlines()]
    assert ["training.epochs", "3"] in words
    assert ["options.temperature", "4"] in words
    metrics = json.loads((project.data / run.location / "metrics.json").read_text())
    assert any(line[:1] == ["test_top1"] and len(line) == 2 for line in words)
    curve = next(line for line in words if line[:1] == ["loss"] and len(line) == 4)
    assert len(curve[1]) == 3
    assert set(curve[1]) <= set("▁▂▃▄▅▆▇█")
    command = f"distillery run {run.name} --params {project.folder / 'tiny.yaml'}"
    assert told.rstrip().splitlines()[-1] == command
    found = json.loads(distillery("show", run.key[:8], "--json"))
    assert found["metrics"] == metrics
    assert found["settings"] == json.loads(json.dumps(dict(run.settings)))
    assert found["command"] == command


def test_show_says_when_its_command_would_make_another_run(
    made: tuple[Project, Plan], distillery: Distillery
) -> None:
    project, _ = made
    file = project.folder / "tiny.yaml"
    text = file.read_text()
    file.write_text(text.replace("epochs: 3", "epochs: 4"))
    try:
        assert "wants another one by now: settings, data or code" in distillery("show", "kd-s0")
    finally:
        file.write_text(text)


def test_compare_shows_what_differs(made: tuple[Project, Plan], distillery: Distillery) -> None:
    words = [line.split() for line in distillery("compare", "kd-s0", "kd-s1").splitlines()]
    assert ["seed", "0", "1"] in words
    assert not any(line[:1] == ["training.epochs"] for line in words)
    assert ["the", "same", "inputs"] in words
    found = json.loads(distillery("compare", "ce-s0", "kd-s0", "--json"))
    assert found["settings"]["method"] == ["ce", "kd"]
    assert found["inputs"]["embeddings"][0] is None
    one, other = found["metrics"]["test_top1"]
    told = distillery("compare", "ce-s0", "kd-s0")
    assert f"{other - one:+.6g}" in told
    assert "made by different code" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "s0"], "'s0' may be any of "),
        (["show", "digits-p-kd-s7"], "unknown run 'digits-p-kd-s7'; did you mean '"),
        (["log", "kd-s7"], "unknown run 'kd-s7'"),
        (["redo", "nothing", "--params", "tiny.yaml"], "unknown run 'nothing'"),
        (["show", "x", "--data", "elsewhere"], "elsewhere: holds no finished runs"),
        (["log", "x", "--logs", "elsewhere"], "elsewhere: no logs; `snakemake` writes them"),
        (["run", "--params", "tiny.yaml"], "name runs, or say which by --only, --pair and --seed"),
        (
            ["run", "--only", "dkd", "--params", "tiny.yaml"],
            "unknown method entry of the comparison 'dkd'; did you mean 'kd'? (allowed: ce, kd)",
        ),
        (
            ["run", "--seed", "5", "--params", "tiny.yaml"],
            "unknown seed of the comparison '5' (allowed: 0, 1)",
        ),
    ],
)
def test_a_mistake_costs_one_line(
    made: tuple[Project, Plan], distillery: Distillery, arguments: list[str], message: str
) -> None:
    logs = made[0].folder / "logs" / "train-student"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / f"{made[1].stage('train-student')[0].name}.log").touch()
    said = distillery(*arguments, status=2)
    assert said.startswith(f"distillery: {message}")
    assert said.count("\n") == 1


# run --only, redo


def test_only_a_method_a_pair_a_seed(made: tuple[Project, Plan], distillery: Distillery) -> None:
    _, planned = made
    runs = chosen(planned, "kd", None, 1)
    students = [run.slug for run in runs if run.stage == "train-student"]
    assert students == ["digits-p-kd-s1"]
    assert [run.stage for run in runs].count("evaluate") == 1
    seen: set[str] = set()
    for run in runs:
        assert set(run.inputs.values()) <= seen
        seen.add(run.location)
    told = distillery("run", "--only", "kd", "--seed", "1", "--params", "tiny.yaml")
    assert [Path(line).name for line in told.splitlines()] == [run.name for run in runs]


@pytest.fixture
def student(made: tuple[Project, Plan]) -> tuple[Run, Any]:
    """A finished student with its manifest."""
    project, planned = made
    run = planned.stage("train-student")[0]
    return run, Artifact(project.data / run.location).manifest


def test_a_run_is_made_again(
    made: tuple[Project, Plan], student: tuple[Run, Any], distillery: Distillery
) -> None:
    (project, _), (run, before) = made, student
    told = distillery("redo", "ce-s0", "--params", "tiny.yaml")
    assert told == f"data/{run.location}: made again, with the same files\n"
    after = Artifact(project.data / run.location).manifest
    assert after["files"] == before["files"]
    assert after["record"] != before["record"]
    assert not (project.data / SCRATCH / f"{run.key}.before").exists()


def test_a_run_that_comes_out_differently_replaces_the_old_one_with_all_that_hangs_on_it(
    made: tuple[Project, Plan], student: tuple[Run, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project, planned), (run, before) = made, student
    there = len(list(published(project.data)))
    execute = stages.execute

    def otherwise(data: Path, run: Any) -> Path:
        """Make a run by code that gives other files."""
        made = execute(data, run)
        manifest = json.loads((made / "manifest.json").read_text())
        manifest["files"]["metrics.json"]["size"] += 1
        (made / "manifest.json").write_text(json.dumps(manifest))
        return made

    monkeypatch.setattr(redoing.stages, "execute", otherwise)
    with pytest.raises(UserError, match=r"which 1 runs have read; the old run was kept"):
        redoing.redo(project.data, run)
    assert Artifact(project.data / run.location).manifest == before
    told = redoing.redo(project.data, run, follow=True)
    assert told.endswith("made again, with other files; 1 runs that had read it are removed")
    assert len(list(published(project.data))) == there - 1
    monkeypatch.undo()
    redoing.redo(project.data, run)
    project.make(planned, planned.runs[_evaluation_of(planned, run.location)])


def test_a_run_that_another_experiment_called_otherwise_stays_where_it_is(
    made: tuple[Project, Plan],
) -> None:
    project, planned = made
    run = planned.stage("train-student")[0]
    there = [*published(project.data)]
    told = redoing.redo(project.data, replace(run, slug="called-otherwise"))
    assert told == f"{project.data / run.location}: made again, with the same files"
    assert [*published(project.data)] == there


def test_a_run_that_fails_the_second_time_is_put_back(
    made: tuple[Project, Plan], student: tuple[Run, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project, _), (run, before) = made, student

    def fail(*_: Any) -> Path:
        raise UserError("no")

    monkeypatch.setattr(redoing.stages, "execute", fail)
    with pytest.raises(UserError, match="no"):
        redoing.redo(project.data, run)
    assert Artifact(project.data / run.location).manifest == before


def _evaluation_of(planned: Plan, student: str) -> str:
    return next(row for row in planned.rows if row.run == student).evaluations["classification"]


def test_a_sparkline_has_eight_heights() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3.0, 3.0]) == "▁▁"
    assert sparkline([]) == sparkline([float("nan")]) == ""
    assert len(sparkline([float(each) for each in range(1000)])) == 60
    assert sparkline([float(each) for each in range(1000)])[::59] == "▁█"
