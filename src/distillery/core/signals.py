"""Requests to end: what Snakemake, Slurm and Ctrl-C send to a process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_REQUESTS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextmanager
def on_request_to_end(react: Callable[[int], None]) -> Iterator[None]:
    """Call ``react`` with the number of each request to end, instead of ending."""
    previous = {
        number: signal.signal(number, lambda received, _: react(received)) for number in _REQUESTS
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
