"""Work that several processes share is done in order, whatever their number, and ends with them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from processes import FORKED

from distillery.core.errors import DistilleryError, UserError
from distillery.core.processes import available_cores, mapping


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_the_order_of_the_tasks(processes: int) -> None:
    def slow_first(task: int) -> tuple[int, int]:
        time.sleep(0.05 if task == 0 else 0)
        return task, os.getpid()

    with mapping(slow_first, processes) as over:
        found = list(over(range(9)))
    assert [task for task, _ in found] == list(range(9))
    assert (os.getpid() in {process for _, process in found}) == (processes == 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_first_error_is_that_of_the_first_task(processes: int) -> None:
    def fail(task: int) -> int:
        if task in (2, 3):
            time.sleep(0.1 if task == 2 else 0)
            raise UserError(f"task {task}")
        return task

    with pytest.raises(UserError, match=r"^task 2$"), mapping(fail, processes) as over:
        list(over(range(6)))


def test_a_killed_process_costs_one_line() -> None:
    def die(task: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(DistilleryError, match="was killed; is there too little memory"):  # noqa: SIM117
        with mapping(die, 2) as over:
            list(over(range(4)))


def _wait_in_children(folder: Path) -> None:
    def wait(task: int) -> None:
        (folder / str(os.getpid())).touch()
        time.sleep(60)

    with mapping(wait, 2) as over:
        list(over(range(2)))


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    parent = FORKED.Process(target=_wait_in_children, args=(tmp_path,))
    parent.start()
    assert _soon(lambda: len(list(tmp_path.iterdir())) == 2)
    children = [int(path.name) for path in tmp_path.iterdir()]
    assert parent.pid
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    assert _soon(lambda: not any(map(_is_alive, children)))


def _soon(condition: object) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_job_uses_the_cores_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    present = len(os.sched_getaffinity(0))
    for given, expected in (("1", 1), ("0", 1), ("", present), ("many", present), ("999", present)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert available_cores() == expected
