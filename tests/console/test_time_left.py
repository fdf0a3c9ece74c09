"""The time left, against sums by hand."""

from __future__ import annotations

import json
from pathlib import Path

from distillery.console.time_left import TimeLeft
from distillery.runs.run import Run


def run(stage: str, name: str, *inputs: str, **settings: str) -> Run:
    read = {each: f"x/{each}-{each}" for each in inputs}
    return Run(stage, "x", name, settings, read, "code", key=name)


TEACHER, PREPARED = run("train-teacher", "t", "p"), run("prepare", "p")
STUDENTS = [run("train-student", name, "t") for name in ("a", "b", "c")]
TESTS = [run("evaluate", f"e{name}", name, protocol="classification") for name in ("a", "b", "c")]
RUNS = {each.location: each for each in (PREPARED, TEACHER, *STUDENTS, *TESTS)}


def test_kinds_that_none_has_finished_of_take_what_similar_ones_take() -> None:
    left = TimeLeft(RUNS, lanes=1)
    students = {each.location for each in STUDENTS}
    left.took(PREPARED, 2)
    assert left.of(students) is None, "preparing says nothing of training"
    left.took(TEACHER, 10)
    assert left.of(students) == 3 * 10
    left.took(STUDENTS[0], 4)
    left.took(STUDENTS[1], 6)
    assert left.of({STUDENTS[2].location, TESTS[2].location}) == 5 + 2
    assert left.of(()) == 0


def test_several_at_a_time_take_less_but_wait_for_what_they_read() -> None:
    left = TimeLeft(RUNS, lanes=2)
    for each, seconds in ((TEACHER, 10), (STUDENTS[0], 4), (TESTS[0], 1)):
        left.took(each, seconds)
    missing = {each.location for each in (TEACHER, *STUDENTS, *TESTS)}
    # The teacher; two students; the third beside the tests of the first two; its test.
    assert left.of(missing) == 10 + 4 + 4 + 1


def test_runs_of_earlier_calls_count_until_there_is_one_of_this(tmp_path: Path) -> None:
    folder = tmp_path / STUDENTS[0].location
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"record": {"wall_seconds": 30}}))
    left = TimeLeft(RUNS, lanes=1)
    left.look_at(tmp_path, [each.location for each in STUDENTS[:2]])
    missing = {STUDENTS[2].location}
    assert left.of(missing) == 30
    left.took(STUDENTS[1], 20)
    assert left.of(missing) == 20
