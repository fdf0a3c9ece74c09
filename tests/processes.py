"""Commands in processes of their own, forked from a server that imports torch once and for all.

A fork of the test's own process would inherit its threads and, where there is one, its accelerator.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        "distillery.cli",
        "distillery.planning",
        "distillery.training.student",
        "distillery.training.worker",
        # What these import when it is needed.
        "pandas",
        "torch._dynamo",
    ]
)


class Command:
    """`distillery ...` in a process of its own."""

    def __init__(
        self, folder: Path, *arguments: str, before: Callable[[], Any] | None = None
    ) -> None:
        """Start a command.

        Args:
            folder: where it is called, and where its log is written.
            arguments: what the user types.
            before: what the process does first, a function of a module.
        """
        self.log = folder / f"{arguments[0]}.log"
        self.process = FORKED.Process(target=_run, args=(folder, arguments, self.log, before))
        self.process.start()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        assert self.process.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def status(self) -> int:
        """Wait for the end and return the exit status."""
        self.process.join(120)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"still running: {self.output()}")
        return self.process.exitcode

    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


def _run(
    folder: Path, arguments: tuple[str, ...], log: Path, before: Callable[[], Any] | None
) -> None:
    os.chdir(folder)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["distillery", *arguments]
    if before is not None:
        before()
    from distillery import cli

    cli.main()
