"""Leases of devices, tried with names instead of accelerators."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from distillery.devices import lease


def _hold(folder: str, log: str, seconds: float) -> None:
    with lease(["0"], Path(folder)):
        for word in ("begin", "end"):
            with Path(log).open("a") as file:
                file.write(f"{word} {os.getpid()}\n")
            time.sleep(seconds)


def test_two_devices_are_leased_to_two_and_the_third_waits(tmp_path: Path) -> None:
    with lease(["a", "b"], tmp_path) as first, lease(["a", "b"], tmp_path) as second:
        assert {first, second} == {0, 1}
        with pytest.raises(TimeoutError, match="no free device among a, b"):
            lease(["a", "b"], tmp_path, patience=0.2).__enter__()
    with lease(["a", "b"], tmp_path, patience=0.2) as again:
        assert again == 0


def test_jobs_on_one_device_run_one_after_the_other(tmp_path: Path) -> None:
    log = tmp_path / "log"
    fork = multiprocessing.get_context("fork")
    jobs = [fork.Process(target=_hold, args=(str(tmp_path), str(log), 0.05)) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [word for word, _ in lines] == ["begin", "end"] * 4
    assert all(lines[place][1] == lines[place + 1][1] for place in range(0, 8, 2))


def test_a_killed_holder_frees_its_device(tmp_path: Path) -> None:
    log = tmp_path / "log"
    job = multiprocessing.get_context("fork").Process(
        target=_hold, args=(str(tmp_path), str(log), 60)
    )
    job.start()
    while not log.exists():
        time.sleep(0.01)
    assert job.pid
    os.kill(job.pid, signal.SIGKILL)
    job.join()
    with lease(["0"], tmp_path, patience=5) as number:
        assert number == 0
