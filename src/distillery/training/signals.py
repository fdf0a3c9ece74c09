"""Requests to end: what Snakemake, Slurm and Ctrl-C send to a process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextmanager
def on_request_to_end(react: Callable[[], None]) -> Iterator[None]:
    """Call ``react`` at each request to end, instead of ending."""
    previous = {number: signal.signal(number, lambda *_: react()) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
