"""Several processes: starting them, and joining their outputs with gradient."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from distillery.devices import lease_for_children
from distillery.errors import DistilleryError, Interrupted

if TYPE_CHECKING:
    from distillery.artifacts import Workspace

TASK = "task.json"
RECORD = "record.json"


class _AllGather(torch.autograd.Function):
    """Joins the rows of all processes; each process computes the same loss from the result.

    The gradient of a process' own rows is the sum over all processes. Averaging by
    DistributedDataParallel then gives the gradient of a single process with the whole batch.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: int) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        ctx.group = group
        groups = [part.unflatten(0, (-1, group)) for part in parts]
        return torch.stack(groups, dim=1).flatten(0, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        by_process = total.unflatten(0, (-1, dist.get_world_size(), ctx.group))
        return by_process[:, dist.get_rank()].flatten(0, 1), None


def gather(tensor: Tensor, group: int = 1) -> Tensor:
    """Return the rows of all processes in the order of the whole batch, with gradient to our own.

    Args:
        tensor: (B * group, ...), the rows of this process, which has every n-th image.
        group: adjacent rows that belong to one image.
    """
    return _AllGather.apply(tensor, group)


def is_worker() -> bool:
    """Tell whether this process was started by ``launch``."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def launch(work: Workspace, processes: int) -> None:
    """Run this training run in ``processes`` processes and wait for them.

    Raises:
        Interrupted: the processes were asked to stop and have saved their state.
        DistilleryError: one of them failed; its message is in the log.
    """
    (work.scratch / TASK).write_text(
        json.dumps({"run": work.run.as_dict(), "data": str(work.data_root)})
    )
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    if torch.cuda.is_available():
        environment["CUDA_VISIBLE_DEVICES"] = lease_for_children(processes)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", "-m", "distillery.training.worker"]
    with subprocess.Popen([*command, str(work.scratch)], env=environment) as child:
        previous = {
            number: signal.signal(number, lambda number, _: child.send_signal(number))
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            status = child.wait()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    stopped = work.scratch / "stopped"
    if stopped.exists():
        stopped.unlink()
        raise Interrupted("stopped; the next start resumes from the checkpoint")
    if status:
        raise DistilleryError(f"a training process failed with status {status}")
    work.record.update(json.loads((work.scratch / RECORD).read_text()))
