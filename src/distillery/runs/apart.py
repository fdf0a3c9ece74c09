"""Several runs one after the other, each in a process of its own.

So each has its own record of peak memory, and gives back its accelerator and threads. The processes
are forked from a server that has imported the stage of the first one.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from distillery.core.errors import Interrupted, exit_on_failure
from distillery.core.signals import on_request_to_end
from distillery.runs.run import Run
from distillery.runs.stages import STAGES, execute


def execute_all(data: Path, runs: Iterable[Run], logs: Path | None = None) -> int:
    """Compute runs that are not there, and print their directories.

    A run that fails does not keep the others from being tried; a request to stop does.

    Args:
        data: the data folder.
        runs: what to compute.
        logs: folder in which each run has its log, ``<stage>/<run>.log``; None: they print.

    Returns:
        The exit status of the first that failed; 0 if none did.
    """
    first_failure = 0
    for run in runs:
        log = logs / run.stage / f"{run.name}.log" if logs else None
        status = execute_apart(data, run, log)
        if status and log:
            print(f"{run.name}: status {status}, see {log}")
        if status == Interrupted.exit_code:
            return status
        if not status:
            print(data / run.location)
        first_failure = first_failure or status
    return first_failure


def execute_apart(data: Path, run: Run, log: Path | None = None) -> int:
    """Compute a run in a process of its own and return its exit status; it prints into ``log``."""
    context, stage = multiprocessing.get_context("forkserver"), STAGES[run.stage]
    # The first optimiser of a process imports torch's compiler, for a second.
    context.set_forkserver_preload([stage.module, *(["torch._dynamo"] if stage.trains else [])])
    process = context.Process(target=_execute, args=(data, run, log))
    process.start()

    def pass_on(number: int) -> None:
        if process.pid:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    with on_request_to_end(pass_on):
        process.join()
    status = process.exitcode or 0
    # As a shell has it for a process that a signal ended.
    return 128 - status if status < 0 else status


def _execute(data: Path, run: Run, log: Path | None) -> None:
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(file.fileno(), stream.fileno())
    with exit_on_failure():
        execute(data, run)
