"""Several runs in processes of their own: one after the other, or a few at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Command, wait_for
from project import Project

from distillery.planning.plan import Plan
from distillery.runs.apart import execute_all
from distillery.runs.artifact import Artifact, is_complete
from distillery.runs.produce import SCRATCH
from distillery.runs.run import Run

METHODS = {"ce": {}, "kd": {}, "crd": {"options": {"negatives": 16}}}


def planned(project: Project) -> tuple[Plan, list[Run]]:
    """Return a plan of three students and these, with all that they read there."""
    plan = project.plan({"!methods": METHODS})
    students = plan.stage("train-student")
    for run in students:
        for location in run.inputs.values():
            project.make(plan, plan.runs[location])
    return plan, students


def without_students(project: Project, folder: Path) -> Project:
    """Return a project that has what the students of another one read, but not them."""
    other = Project(folder)
    other.data.mkdir()
    for name in ("prepared", "teachers", "embeddings"):
        (other.data / name).symlink_to(project.data / name)
    return other


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[Run]]:
    """Three students, computed one after the other."""
    project = Project(tmp_path_factory.mktemp("alone"))
    _, students = planned(project)
    assert execute_all(project.data, students, project.folder / "logs") == 0
    return project, students


@pytest.mark.parametrize("lanes", [2, 3])
def test_lanes_change_no_bit(alone: tuple[Project, list[Run]], tmp_path: Path, lanes: int) -> None:
    project, students = alone
    other = without_students(project, tmp_path)
    assert execute_all(other.data, students, tmp_path / "logs", lanes) == 0
    for run in students:
        ours, theirs = (Artifact(data / run.location) for data in (other.data, project.data))
        assert ours.manifest["files"] == theirs.manifest["files"], run.name


def test_each_run_has_a_log_of_its_own(alone: tuple[Project, list[Run]]) -> None:
    project, students = alone
    for run in students:
        said = (project.folder / "logs" / run.stage / f"{run.name}.log").read_text()
        assert "train 3/3 " in said
        assert said.count("train 1/3 ") == 1
        assert ("method_kd" in said) == (run.settings["method"] == "kd")


def test_a_log_goes_on_when_its_run_does(tmp_path: Path) -> None:
    log = tmp_path / "train-student" / "some-run.log"
    writes = "import sys; from pathlib import Path; from distillery.runs.apart import print_into; "
    writes += "print_into(Path(sys.argv[1])); print(sys.argv[2])"
    for text in ("first", "second"):
        subprocess.run([sys.executable, "-c", writes, str(log), text], check=True)
    first, empty, header, second = log.read_text().splitlines()
    assert (first, empty, second) == ("first", "", "second")
    assert header.startswith("--- again, 20")


def test_what_reads_another_run_waits_for_it(tmp_path: Path) -> None:
    """Whatever their order, and however many lanes there are."""
    project = Project(tmp_path)
    plan = project.plan()
    runs = list(reversed(plan.runs.values()))
    assert execute_all(project.data, runs, tmp_path / "logs", lanes=3) == 0
    assert plan.pending(project.data) == []


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_run_that_fails_ends_no_other(
    alone: tuple[Project, list[Run]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    lanes: int,
) -> None:
    project, students = alone
    other = without_students(project, tmp_path)
    in_the_way = other.data / SCRATCH / students[0].key / "out"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("no folder")
    assert execute_all(other.data, students, tmp_path / "logs", lanes) == 1
    assert [is_complete(other.data / run.location) for run in students] == [False, True, True]
    log = tmp_path / "logs" / "train-student" / f"{students[0].name}.log"
    assert f"{students[0].name}: status 1, see {log}" in capsys.readouterr().out
    assert "out" in log.read_text()


def test_a_request_to_end_reaches_all_lanes(project: Project) -> None:
    """They save their state and go on from there; what waits for a lane is not begun."""
    changes = {"!methods": {"ce": {}}, "seeds": [0, 1, 2], "training": {"epochs": 3000}}
    plan = project.plan(changes)
    students = plan.stage("train-student")
    for location in students[0].inputs.values():
        project.make(plan, plan.runs[location])
    names = [run.name for run in students]
    options = ("--params", "tiny.yaml", "--data", "data", "--logs", "logs", "--lanes", "2")
    command = Command(project.folder, "run", *names, *options)
    logs = [project.folder / "logs" / "train-student" / f"{name}.log" for name in names]
    for log in logs[:2]:
        wait_for(lambda log=log: log.exists() and "train 2/" in log.read_text(), "an epoch")
    asked = time.monotonic()
    command.send(signal.SIGTERM)
    assert command.status() == 143, command.output()
    assert time.monotonic() - asked < 10
    checkpoints = [project.data / SCRATCH / run.key / "checkpoint.pt" for run in students]
    saved = [path.exists() for path in checkpoints]
    assert saved == [True, True, False]
    assert not logs[2].exists()
