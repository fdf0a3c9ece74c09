"""Several runs, each in a process of its own, one after the other or a few at a time.

So each has its own random state, its own record of peak memory, and gives back its accelerator and
threads. The processes are forked from a server that has imported what they need.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from distillery.core.errors import Interrupted, exit_on_failure
from distillery.core.signals import ending_at_once, on_request_to_end
from distillery.runs.artifact import where
from distillery.runs.preloading import modules_for
from distillery.runs.run import Run
from distillery.runs.stages import STAGES, execute


def execute_all(data: Path, runs: Sequence[Run], logs: Path | None = None, lanes: int = 1) -> int:
    """Compute runs that are not there, and print their directories.

    A run that fails does not keep the others from being tried; a request to stop ends those that
    are being computed and starts no more. What reads another of the runs waits for it.

    Args:
        data: the data folder.
        runs: what to compute.
        logs: folder in which each run has its log, ``<stage>/<run>.log``; None: they print.
        lanes: how many are computed at a time, on one device; those that measure time are alone.

    Returns:
        The exit status of the first of ``runs`` that failed; 0 if none did.
    """
    if any(run.exclusive for run in runs):
        lanes = 1
    children, waiting = _Children(data, runs, logs), list(runs)
    if lanes > 1 and all(_shares_a_device(run) for run in runs):
        from distillery.core import devices

        children.environment = devices.lease_for_lanes()
    statuses: dict[str, int] = {}
    with on_request_to_end(children.end):
        while True:
            run = _next(waiting, children.running) if children.free(lanes) else None
            if run:
                waiting.remove(run)
                children.start(run)
            elif children.running:
                for child, status in children.wait():
                    statuses[child.run.location] = status
                    if not status:
                        print(where(data, child.run.location))
                    elif child.log:
                        print(f"{child.run.name}: status {status}, see {child.log}")
            else:
                break
    if waiting or Interrupted.exit_code in statuses.values():
        return Interrupted.exit_code
    return next((statuses[run.location] for run in runs if statuses[run.location]), 0)


def execute_apart(data: Path, run: Run) -> int:
    """Compute a run in a process of its own and return its exit status."""
    children = _Children(data, [run], None)
    with on_request_to_end(children.end):
        children.start(run)
        ((_, status),) = children.wait()
    return status


def log_of(logs: Path, run: Run) -> Path:
    """Return the log of a run in the folder of all logs."""
    return logs / run.stage / f"{run.name}.log"


def print_into(log: Path) -> None:
    """Make this process print into a log, after what earlier attempts wrote there."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        if file.tell():
            file.write(f"\n--- again, {datetime.now(UTC).isoformat(timespec='seconds')} ---\n")
            file.flush()
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())


def _shares_a_device(run: Run) -> bool:
    """Tell whether a run computes on one accelerator, if there is one."""
    processes = run.settings.get("compute", {}).get("processes", 1)
    return (STAGES[run.stage].gpu if run.gpu is None else run.gpu) and processes == 1


def _next(waiting: Sequence[Run], running: Sequence[_Child]) -> Run | None:
    """Return the first run that waits and reads none of the others, which may be outdated."""
    others = {*(run.location for run in waiting), *(child.run.location for child in running)}
    return next((run for run in waiting if others.isdisjoint(run.inputs.values())), None)


class _Child(NamedTuple):
    """A process that computes a run, and what it prints into."""

    run: Run
    log: Path | None
    process: BaseProcess

    def send(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.process.pid:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class _Children:
    """The runs that are being computed.

    Attributes:
        running: in the order in which they were started.
        environment: what their environment has beside that of this process.
    """

    def __init__(self, data: Path, runs: Sequence[Run], logs: Path | None) -> None:
        self.running: list[_Child] = []
        self.environment: dict[str, str] = {}
        self._data, self._logs = data, logs
        self._are_ending = False
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["__main__", *modules_for(runs)])

    def free(self, lanes: int) -> bool:
        """Tell whether another one may be started."""
        return not self._are_ending and len(self.running) < lanes

    def start(self, run: Run) -> None:
        """Start to compute a run."""
        log = log_of(self._logs, run) if self._logs else None
        arguments = (self._data, run, log, self.environment)
        process = self._context.Process(target=_execute, args=arguments)
        process.start()
        child = _Child(run, log, process)
        self.running.append(child)
        if self._are_ending:
            # It was being started when the others were asked.
            child.send(signal.SIGTERM)

    def wait(self) -> list[tuple[_Child, int]]:
        """Wait until some have ended, and return these with their exit statuses."""
        wait([child.process.sentinel for child in self.running])
        codes = [(child, child.process.exitcode) for child in self.running]
        # As a shell has it for a process that a signal ended.
        ended = [
            (child, code if code >= 0 else 128 - code) for child, code in codes if code is not None
        ]
        self.running = [child for child, code in codes if code is None]
        self._are_ending |= any(status == Interrupted.exit_code for _, status in ended)
        return ended

    def end(self, number: int) -> None:
        """Pass a request to end on to all of them."""
        self._are_ending = True
        for child in self.running:
            child.send(number)


def _execute(data: Path, run: Run, log: Path | None, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    if log:
        print_into(log)
    with ending_at_once(), exit_on_failure():
        execute(data, run)
