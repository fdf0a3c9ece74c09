"""Work that several processes of one job share."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from distillery.core.errors import DistilleryError

Task = TypeVar("Task")
Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1
# What a process of a pool does: it has it from its parent's memory, so that nothing is pickled.
_work: Callable[[Any], Any]


def available_cores() -> int:
    """Return how many cores a job may use: as many as Snakemake gave it, or this process has."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    # More processes than a machine has cores would only wait for each other.
    present = present_cores()
    return min(max(int(given), 1), present) if given.isdecimal() else present


def present_cores() -> int:
    """Return how many cores this process may use; 1 where the system does not tell."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


@contextmanager
def mapping(
    work: Callable[[Task], Result], processes: int
) -> Iterator[Callable[[Iterable[Task]], Iterator[Result]]]:
    """Yield a function like ``map`` that has the work done by several processes.

    It returns at once, its results come in the order of the tasks, and the first error is that of
    the first task that has one, whatever the number of processes. With one process the work is
    done in this one, when a result is asked for.

    Args:
        work: what to do with each task. It may refer to anything, since the processes are copies
            of this one, made when the first tasks come; tasks and results are sent.
        processes: how many; 1 where processes cannot be copied safely.

    Raises:
        DistilleryError: one of the processes was killed.
    """
    if processes == 1 or sys.platform != "linux":
        yield lambda tasks: map(work, tasks)
        return
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), initializer=_begin, initargs=(work,)
    )
    try:
        yield lambda tasks: pool.map(_do, tasks)
    except BrokenProcessPool:
        raise DistilleryError(
            "a process that shares the work was killed; is there too little memory?"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """Ask the kernel (of Linux) for a SIGTERM when the parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Ctrl-C reaches the parent, too, which ends the pool.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _do(task: Any) -> Any:
    return _work(task)
