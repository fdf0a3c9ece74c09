"""Several processes: starting them, and joining their outputs with gradient.

A run (``launched``) starts torch's agent (``main``), and that starts the workers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from distillery.core import errors
from distillery.core.devices import lease_for_children
from distillery.core.errors import DistilleryError, Interrupted, UserError
from distillery.core.files import write_atomically
from distillery.core.locks import wait_for_lock
from distillery.core.processes import end_with_parent
from distillery.core.signals import on_request_to_end

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace

TASK = "task.json"
RECORD = "record.json"
FAILURE = "failure.json"
# What torch's agent reads, too.
_NODES = "PET_NNODES"


class _AllGather(torch.autograd.Function):
    """Joins the rows of all processes; each process computes the same loss from the result.

    The gradient of a process' own rows is the sum over all processes. Averaging by
    DistributedDataParallel then gives the gradient of a single process with the whole batch.

    (``torch.distributed.nn.functional.all_gather`` has this gradient, too, but is deprecated in
    favour of a private module of torch.)
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: int) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        ctx.group = group
        groups = [torch.unflatten(part, 0, (-1, group)) for part in parts]
        return torch.stack(groups, dim=1).flatten(0, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        by_process = torch.unflatten(total, 0, (-1, dist.get_world_size(), ctx.group))
        return by_process[:, dist.get_rank()].flatten(0, 1), None


def gather(tensor: Tensor, group: int = 1) -> Tensor:
    """Return the rows of all processes in the order of the whole batch, with gradient to our own.

    Args:
        tensor: (B * group, ...), the rows of this process, which has every n-th image.
        group: adjacent rows that belong to one image.
    """
    joined: Tensor = _AllGather.apply(tensor, group)
    return joined


def gather_sums(sums: dict[str, float], device: torch.device) -> list[dict[str, float]]:
    """Return the sums of all processes, process by process."""
    if not sums:
        return [{} for _ in range(dist.get_world_size())]
    own = torch.tensor([list(sums.values())], dtype=torch.float64, device=device)
    return [dict(zip(sums, row, strict=True)) for row in gather(own).tolist()]


@torch.no_grad()
def agree(network: nn.Module) -> None:
    """Give all processes the buffers (running statistics) of the first one."""
    for buffer in network.buffers():
        dist.broadcast(buffer, src=0)


def is_worker() -> bool:
    """Tell whether this process was started by ``launched``."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def launched(work: Workspace, processes: int) -> bool:
    """Run a stage in ``processes`` processes, if this is to start them; tell whether it was.

    Each of them calls the stage, too, and goes on where this returns False.

    Raises:
        Interrupted: the processes were asked to stop and have saved their state.
        DistilleryError: what one of them raised; the log has the others' messages.
    """
    if processes == 1 or is_worker():
        return False
    for name in (FAILURE, RECORD):
        (work.scratch / name).unlink(missing_ok=True)
    (work.scratch / TASK).write_text(
        json.dumps(
            {
                "run": work.run.as_dict(),
                "inputs": {name: str(each.path) for name, each in work.inputs.items()},
                "raw": str(work.raw),
            }
        )
    )
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    nodes = _nodes(processes)
    if torch.cuda.is_available():
        environment["CUDA_VISIBLE_DEVICES"] = lease_for_children(processes // nodes)
    status, asked_to_stop = _supervise(
        [sys.executable, "-m", __name__, str(work.scratch), str(processes)],
        environment,
    )
    failure = work.scratch / FAILURE
    if failure.exists():
        told = json.loads(failure.read_text())
        raise getattr(errors, told["kind"], DistilleryError)(told["message"])
    if asked_to_stop and status:
        raise Interrupted("stopped; the next start resumes from the last checkpoint, if any")
    if status:
        raise DistilleryError(f"a training process failed with status {status}; see above")
    work.record.update(json.loads((work.scratch / RECORD).read_text()))
    return True


def _nodes(processes: int) -> int:
    """Return the number of nodes that share the processes.

    Raises:
        UserError: it is no number by which they can be divided.
    """
    given = os.environ.get(_NODES, "1")
    if not given.isdecimal() or not int(given) or processes % int(given):
        raise UserError(
            f"{_NODES}={given}: compute.processes ({processes}) must be a multiple of the nodes"
        )
    return int(given)


def report_failure(scratch: Path, error: DistilleryError) -> None:
    """Leave an error of a worker for ``launched`` to raise."""
    told = {"kind": type(error).__name__, "message": str(error)}
    write_atomically(scratch / FAILURE, json.dumps(told).encode())


def main(scratch: Path, processes: int) -> None:
    """Start the workers of a run on this node and wait for them.

    On several nodes, as torch's own variables PET_NNODES, PET_NODE_RANK and PET_MASTER_ADDR say,
    they are this node's share. The lock is this process' own: it outlives the run that asked for
    it, as long as the workers.
    """
    end_with_parent()
    told = "processes of an earlier start of this run are not through; waiting for them"
    lock = wait_for_lock(scratch / "processes.lock", told)
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    nodes = _nodes(processes)
    arguments = [f"--nproc-per-node={processes // nodes}"]
    if nodes == 1:
        arguments.append("--standalone")
    try:
        with lock:
            run.main([*arguments, "-m", "distillery.training.worker", str(scratch)])
    except SignalException:
        sys.exit(Interrupted.exit_code)
    except ChildFailedError as error:
        print(f"distillery: {error}".partition("\n")[0], file=sys.stderr)
        sys.exit(DistilleryError.exit_code)


def _supervise(command: list[str], environment: dict[str, str]) -> tuple[int, bool]:
    """Run the agent; return its status, and whether this process was asked to stop meanwhile."""
    agent: subprocess.Popen[bytes] | None = None
    asked_to_stop = False

    def stop(number: int) -> None:
        # Once: a second signal would make the agent leave before its workers have.
        nonlocal asked_to_stop
        if agent is not None and not asked_to_stop:
            agent.terminate()
        asked_to_stop = True

    with on_request_to_end(stop):
        # The agent has a session of its own: Ctrl-C reaches us alone.
        agent = subprocess.Popen(command, env=environment, start_new_session=True)
        if asked_to_stop:
            agent.terminate()
        return agent.wait(), asked_to_stop


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
