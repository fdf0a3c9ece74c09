"""Several processes on one machine: as a gloo group of tests, and as torch's workers of a run."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from processes import FORKED
from project import Project

from distillery.runs.run import Run
from distillery.training import distributed, worker


def in_group(count: int, target: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """Run ``target(rank, ...)`` in a group of processes and return what each returns."""
    assert in_processes(count, _in_group, count, target, folder, arguments) == [0] * count
    return [torch.load(folder / f"{rank}.pt") for rank in range(count)]


def _in_group(
    rank: int, count: int, target: Callable[..., Any], folder: Path, arguments: Any
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/group", rank=rank, world_size=count)
    torch.save(target(rank, *arguments), folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def in_processes(count: int, target: Callable[..., Any], *arguments: Any) -> list[int | None]:
    """Run ``target(rank, ...)`` in so many processes and return their exit statuses."""
    jobs = [FORKED.Process(target=target, args=(rank, *arguments)) for rank in range(count)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(600)
    return [job.exitcode for job in jobs]


def write_task(project: Project, run: Run, scratch: Path) -> None:
    """Write into ``scratch`` what the workers of a run read."""
    (scratch / "out").mkdir(parents=True, exist_ok=True)
    inputs = {name: str(project.data / place) for name, place in run.inputs.items()}
    task = {"run": run.as_dict(), "inputs": inputs, "raw": str(project.data / "raw")}
    (scratch / distributed.TASK).write_text(json.dumps(task))


def be_worker(rank: int, processes: int, scratch: Path, port: str) -> None:
    """Do what torch's agent makes a worker do."""
    count = str(processes)
    os.environ.update(TORCHELASTIC_RUN_ID="test", WORLD_SIZE=count, LOCAL_WORLD_SIZE=count)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    worker.main(scratch)


def free_port() -> str:
    """Return the number of a port of loopback that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])
