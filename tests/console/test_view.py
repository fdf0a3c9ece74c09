"""What a person sees of a workflow, told by records as Snakemake makes them."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from snakemake.common.configfile import load_configfile

from distillery.console.screen import Screen
from distillery.console.view import View
from distillery.planning.plan import Plan
from distillery.reporting.settings import ReportSettings
from distillery.runs.run import Run
from snakemake_logger_plugin_distillery import of_params_file

CALLED = "RuleException:\nCalledProcessError in file Snakefile, line 1"
FINAL = "Exiting because a job execution failed. Look below for error messages"


def run(stage: str, slug: str, *inputs: str) -> Run:
    folder = {"train-student": "students", "evaluate": "evaluations"}[stage]
    return Run(stage, folder, slug, {}, {each: each for each in inputs}, "code", key="0" * 16)


STUDENTS = [run("train-student", slug) for slug in ("ce", "kd", "crd")]
TEST = run("evaluate", "kd-test", STUDENTS[1].location)
RUNS = [*STUDENTS, TEST]


class Call:
    """A call of Snakemake with two jobs, and what is shown of it."""

    def __init__(self, folder: Path, *, is_dry: bool = False) -> None:
        self.data, self.logs = folder / "data", folder / "logs"
        self.stream = io.StringIO()
        self.page: str | None = None
        report = ReportSettings.model_construct(folder="reports/mine")
        plan = Plan.model_construct(
            name="mine", runs={each.location: each for each in RUNS}, report=report, threads=1
        )
        jobs = {"students": STUDENTS, "tests": [TEST]}
        self.view = View(
            plan,
            self.data,
            self.logs,
            jobs.__getitem__,
            lambda: self.page,
            1,
            Screen(self.stream),
            is_dry=is_dry,
        )
        self.says("workflow_started")

    def says(self, event: str | None = None, text: str = "", level: int = 20, **extra: Any) -> bool:
        record = logging.LogRecord("snakemake", level, "", 0, text, None, None)
        record.__dict__.update(extra, **({"event": event} if event else {}))
        return self.view.show(record)

    def starts(self, number: int, batch: str | None, rule: str = "train_student") -> None:
        wildcards = {"batch": batch} if batch else {}
        self.says("job_info", jobid=number, rule_name=rule, wildcards=wildcards)

    def fails(self, number: int) -> None:
        log = [str(self.logs / "jobs" / "train-student" / "students.log")]
        self.says("job_error", jobid=number, rule_name="train_student", log=log, level=40)

    def makes(self, made: Run, **metrics: float) -> None:
        folder = self.data / made.location
        folder.mkdir(parents=True)
        if metrics:
            (folder / "metrics.json").write_text(json.dumps(metrics))
        (folder / "manifest.json").write_text(json.dumps({"record": {"wall_seconds": 12.34}}))

    def logs_of(self, made: Run, text: str) -> None:
        log = self.logs / made.stage / f"{made.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text)

    def shown(self) -> list[str]:
        self.view.close()
        return self.stream.getvalue().splitlines()


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call(tmp_path)


def test_each_finished_run_has_a_line_with_its_result(call: Call) -> None:
    call.view.begin(["students", "tests"], wants_report=True)
    call.starts(1, "students")
    for student, top1 in zip(STUDENTS, (50.0, 60.5, 70.25), strict=True):
        call.makes(student, test_top1=top1, loss=1.0)
    call.says("job_finished", job_id=1)
    call.starts(2, "tests", "evaluate")
    call.makes(TEST)
    call.says("job_finished", job_id=2)
    call.page = "reports/mine/index.html"
    lines = call.shown()
    assert lines[0] == "to make: 4 runs: 3 train-student, 1 evaluate"
    assert [line.split() for line in lines[1:5]] == [
        ["train-student", STUDENTS[0].name, "test", "top-1", "50.00", "%", "12.3", "s"],
        ["train-student", STUDENTS[1].name, "test", "top-1", "60.50", "%", "12.3", "s"],
        ["train-student", STUDENTS[2].name, "test", "top-1", "70.25", "%", "12.3", "s"],
        ["evaluate", TEST.name, "12.3", "s"],
    ]
    assert re.fullmatch(r"made 4 runs in [\d.]+ s: 3 train-student, 1 evaluate", lines[5])
    assert lines[6:] == ["report: reports/mine/index.html"]


def test_an_outdated_run_is_said_to_be_made_when_it_is_replaced(call: Call) -> None:
    """The manifest of the old one is there all the time; that of another is not replaced."""
    for student in STUDENTS[:2]:
        call.makes(student, test_top1=40.0)
    call.view.begin(["students"], wants_report=False)
    call.starts(1, "students")
    shutil.rmtree(call.data / STUDENTS[0].location)
    call.makes(STUDENTS[0], test_top1=50.0)
    call.view._look()
    assert call.stream.getvalue().count("test top-1") == 1
    call.makes(STUDENTS[2], test_top1=70.0)
    call.says("job_finished", job_id=1)
    lines = call.shown()
    assert [line.split()[4] for line in lines[1:4]] == ["50.00", "40.00", "70.00"]
    assert lines[4].startswith("made 3 runs")


def test_runs_that_have_become_outdated_are_announced(call: Call) -> None:
    call.view.begin(["students"], wants_report=False)
    call.starts(1, "students")
    call.makes(STUDENTS[1], test_top1=50.0)
    manifest = call.data / STUDENTS[1].location / "manifest.json"
    files = {"metrics.json": {"sha256": "0", "size": 1}}
    manifest.write_text(json.dumps({"files": files, "record": {"wall_seconds": 1.0}}))
    call.makes(TEST)
    record = {"inputs": {STUDENTS[1].location: "what was there before"}}
    (call.data / TEST.location / "manifest.json").write_text(json.dumps({"record": record}))
    call.says("job_finished", job_id=1)
    said = "1 run had read other contents of what was made now: the next call makes it again"
    assert said in call.shown()


def test_what_failed_is_said_with_the_last_line_of_its_log(call: Call) -> None:
    call.view.begin(["students", "tests"], wants_report=True)
    call.starts(1, "students")
    call.makes(STUDENTS[0], test_top1=50.0)
    call.logs_of(STUDENTS[1], "epoch 1\nepoch 2\rdistillery: loss kd is not finite\n\n")
    assert call.says("error", CALLED, 40)
    call.fails(1)
    assert call.says(None, FINAL, 40)
    name = STUDENTS[1].name
    log = call.logs / "train-student" / f"{name}.log"
    line = f"failed: train-student {name}: distillery: loss kd is not finite ({log})"
    said = call.shown()
    assert said[2] == line
    assert said[3].startswith("made 1 run in")
    assert said[4:] == [
        line,
        "not tried, for lack of what failed: 1 train-student, 1 evaluate",
        "report: not made, since runs are missing",
    ]


def test_a_report_with_gaps_is_called_one(call: Call) -> None:
    call.view.begin(["students"], wants_report=True)
    call.starts(1, "students")
    call.logs_of(STUDENTS[0], "distillery: no\n")
    call.fails(1)
    call.view.partial_page = "reports/mine/index.html"
    assert call.shown()[-1] == "report of what is there: reports/mine/index.html"


def test_a_job_that_never_reached_a_run_is_told_by_its_own_log(call: Call) -> None:
    call.starts(1, "students")
    log = call.logs / "jobs" / "train-student" / "students.log"
    log.parent.mkdir(parents=True)
    log.write_text("distillery: params/mine.yaml: no such params file\n")
    # It was written by an earlier call.
    call.logs_of(STUDENTS[0], "old")
    old = time.time() - 60
    os.utime(call.logs / "train-student" / f"{STUDENTS[0].name}.log", (old, old))
    call.fails(1)
    line = f"failed: train_student: distillery: params/mine.yaml: no such params file ({log})"
    assert call.shown()[0] == line


def test_ctrl_c_ends_in_one_line(call: Call) -> None:
    call.view.begin(["students"], wants_report=False)
    call.starts(1, "students")
    call.makes(STUDENTS[0], test_top1=50.0)
    assert call.says(None, "Terminating processes on user request, this might take some time.")
    call.logs_of(STUDENTS[1], "interrupted\n")
    assert call.says("error", CALLED, 40)
    call.fails(1)
    assert call.says("error", "WorkflowError: At least one job did not complete", 40)
    *_, run_line, last = call.shown()
    assert STUDENTS[0].name in run_line
    assert last == "stopped: 1 of 3 runs made; the next call goes on from there"


def test_ctrl_c_is_noticed_where_snakemakes_own_view_is_shown(call: Call) -> None:
    """So that no report is made of what is there, which takes a while."""
    for text in ("Select jobs to execute...", "Terminating processes on user request, this"):
        assert not call.view.is_stopping
        call.view.notice(logging.LogRecord("snakemake", 20, "", 0, text, None, None))
    assert call.view.is_stopping
    assert call.stream.getvalue() == ""


def test_a_wrong_params_file_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Snakemake tells of it, which reads the file before the Snakefile."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "digits.yaml").touch()

    def told(file: str) -> str | None:
        with pytest.raises((OSError, ValueError)) as error:
            load_configfile(file)
        text = "".join(traceback.format_exception(error.value))
        return of_params_file(logging.LogRecord("snakemake", 40, "", 0, text, None, None))

    line = "distillery: params/digit.yaml: no such params file; did you mean 'digits.yaml'?"
    assert told("params/digit.yaml") == line
    assert told("else/digit.yaml") == "distillery: else/digit.yaml: no such params file"
    assert str(told("params")).startswith("distillery: --configfile: IsADirectoryError")
    other = logging.LogRecord("snakemake", 40, "", 0, "FileNotFoundError: no 'x'", None, None)
    assert of_params_file(other) is None


def test_what_snakemake_itself_has_to_say_is_left_to_it(call: Call) -> None:
    assert not call.says("error", "MissingInputException in rule x", 40)
    assert not call.says(None, "Nothing to be done (all requested files are present).")
    assert call.says(None, "Select jobs to execute...")
    call.page = "reports/mine/index.html"
    assert call.shown() == ["report: reports/mine/index.html"]


def test_a_dry_run_counts_what_would_be_made(tmp_path: Path) -> None:
    call = Call(tmp_path, is_dry=True)
    call.starts(1, "students")
    call.starts(2, None, "build_report")
    call.says("job_finished", job_id=1)
    assert call.shown() == [
        "would make 3 runs: 3 train-student",
        "would make the report in reports/mine/",
    ]
