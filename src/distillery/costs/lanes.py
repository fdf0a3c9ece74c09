"""How many images several processes train on together: each imports torch for itself."""

from __future__ import annotations

import multiprocessing
import queue
import time
from typing import Any

from distillery.costs.work import Training

# What a process needs until it can begin, at most.
_PATIENCE = 120


def together(training: Training, processes: int, seconds: float) -> float | None:
    """Return the images a second of several processes that each train the same network.

    Args:
        training: what each trains.
        processes: how many there are.
        seconds: how long to measure.

    Returns:
        Their rates, added up; None if one of them failed, as when memory is short.
    """
    return _rate(training, processes, seconds, compiled=False, patience=_PATIENCE)


def compiled(training: Training, seconds: float, patience: float) -> float | None:
    """Return the images a second of one process whose network is compiled first.

    Args:
        training: what is trained.
        seconds: how long to measure.
        patience: how long compiling may take.

    Returns:
        The rate; None if compiling failed or took longer.
    """
    return _rate(training, 1, seconds, compiled=True, patience=patience)


def _rate(
    training: Training, processes: int, seconds: float, *, compiled: bool, patience: float
) -> float | None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    arguments = (training, seconds, compiled, barrier, results)
    workers = [context.Process(target=_work, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    rates: list[float] = []
    deadline = time.monotonic() + patience + seconds
    while len(rates) < processes and time.monotonic() < deadline:
        try:
            rates.append(results.get(timeout=0.2))
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                break
    for worker in workers:
        if len(rates) < processes:
            worker.terminate()
        worker.join()
    return sum(rates) if len(rates) == processes else None


def _work(training: Training, seconds: float, compiled: bool, barrier: Any, results: Any) -> None:
    from distillery.costs.measuring import seconds_of, training_step_of

    step = training_step_of(training, training.settings.compute.precision, compiled=compiled)
    step.call()
    barrier.wait(_PATIENCE)
    results.put(step.images / seconds_of({"step": step}, seconds)["step"])
