"""Requests to end: what Snakemake, Slurm and Ctrl-C send to a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A long import may catch the exception that Python makes of Ctrl-C, and go on.
_END_AT_ONCE = signal.SIG_DFL
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


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process at once, until something reacts to it in its own way.

    While programs start there is nothing to save, and whatever lies half-made is not taken for
    finished. In threads other than the main one nothing changes, nor where Ctrl-C is ignored, as in
    the background of a script.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    previous = signal.signal(signal.SIGINT, _END_AT_ONCE)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
