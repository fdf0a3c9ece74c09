"""How long runs take that wait for each other."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Mapping

from distillery.runs.run import Run


def makespan(
    runs: Mapping[str, Run], seconds: Mapping[str, float], wanted: Collection[str], lanes: int
) -> float:
    """Return how long runs take that wait for each other, ``lanes`` of them at a time.

    Whoever can start, starts, in the order of the plan; what needs the machine to itself comes at
    the end.

    Args:
        runs: location -> run, inputs before what reads them.
        seconds: location -> seconds of a run; those that are not there take no time.
        wanted: locations of the runs to compute; all others are done.
        lanes: how many at a time.
    """
    order = {name: place for place, name in enumerate(runs) if name in wanted}
    waits = {name: sum(each in order for each in set(runs[name].inputs.values())) for name in order}
    readers: dict[str, list[str]] = defaultdict(list)
    for name in order:
        for source in set(runs[name].inputs.values()):
            readers[source].append(name)
    alone = sum(seconds.get(name, 0.0) for name in order if runs[name].exclusive)
    ready = [(order[name], name) for name in order if not waits[name]]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < lanes:
            _, name = heapq.heappop(ready)
            length = 0.0 if runs[name].exclusive else seconds.get(name, 0.0)
            heapq.heappush(running, (now + length, name))
        now, done = heapq.heappop(running)
        for name in readers[done]:
            waits[name] -= 1
            if not waits[name]:
                heapq.heappush(ready, (order[name], name))
    return now + alone
