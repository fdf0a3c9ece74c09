"""How long runs take that wait for each other, against sums by hand."""

from __future__ import annotations

import pytest

from distillery.costs.makespan import makespan
from distillery.runs.run import Run


def run(name: str, *inputs: str, exclusive: bool = False) -> Run:
    read = {each: f"x/{each}" for each in inputs}
    return Run("stage", "x", name, {}, read, "code", key=name, exclusive=exclusive)


def chain(*runs: Run) -> dict[str, Run]:
    return {f"x/{each.slug}": each for each in runs}


@pytest.mark.parametrize(("lanes", "expected"), [(1, 15), (2, 9), (3, 8)])
def test_runs_wait_for_what_they_read_and_for_lanes(lanes: int, expected: float) -> None:
    runs = chain(run("a"), run("b", "a"), run("c", "a"), run("d"), run("e", "b", "c"))
    seconds = {"x/a": 3.0, "x/b": 3.0, "x/c": 4.0, "x/d": 4.0, "x/e": 1.0}
    assert makespan(runs, seconds, runs, lanes) == expected


def test_done_runs_take_no_time_and_exclusive_ones_no_company() -> None:
    runs = chain(run("a"), run("b", "a"), run("c", "a"), run("m", exclusive=True))
    seconds = {"x/a": 3.0, "x/b": 2.0, "x/c": 2.0, "x/m": 5.0}
    assert makespan(runs, seconds, {"x/b", "x/c", "x/m"}, 2) == 2 + 5
