"""Which device a process computes on, and leases so that two runs never share an accelerator.

Snakemake counts ``resources: gpu`` but assigns no device. A lease is a file lock, one a device,
that the kernel drops when its holder dies; a run takes the first free one and waits while there is
none.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import torch

from distillery.core.errors import UserError
from distillery.core.locks import try_lock

_POLL_SECONDS = 1.0
_LEASED = "DISTILLERY_DEVICE_IS_LEASED"
_held: list[Any] = []


def device_for_inference(record: MutableMapping[str, Any]) -> torch.device:
    """Return the device for a run without training, and note it in the manifest's record."""
    be_deterministic()
    device = torch.device("cuda", lease_one()) if torch.cuda.is_available() else torch.device("cpu")
    record["device"] = describe(device)
    return device


def be_deterministic() -> None:
    """Let torch compute the same bits each time; it warns of what an accelerator cannot do so."""
    # Read when the accelerator's library is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    # Memory is not read before it is written, here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)


def describe(device: torch.device) -> str:
    """Return the name of a device for the manifest."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def lease_one() -> int:
    """Lease one visible accelerator for the life of this process and return its number.

    Those that ``lease_for_lanes`` was called for have it already.
    """
    if os.environ.get(_LEASED):
        return 0
    with contextlib.ExitStack() as stack:
        number = stack.enter_context(lease(_visible_ids(), _lock_folder()))
        _held.append(stack.pop_all())
    return number


def lease_for_children(count: int) -> str:
    """Lease ``count`` accelerators and return the value of CUDA_VISIBLE_DEVICES for children."""
    stack = contextlib.ExitStack()
    chosen = stack.enter_context(lease_several(_visible_ids(), count, _lock_folder()))
    _held.append(stack)
    return ",".join(chosen)


def lease_for_lanes() -> dict[str, str]:
    """Lease one accelerator, if there is any, for several children that compute on it together.

    Returns:
        What the children need in their environment: with it ``lease_one`` takes that device.
    """
    if not torch.cuda.is_available():
        return {}
    return {"CUDA_VISIBLE_DEVICES": lease_for_children(1), _LEASED: "yes"}


@contextlib.contextmanager
def lease_several(identities: list[str], count: int, folder: Path) -> Iterator[list[str]]:
    """Hold the locks of ``count`` devices and yield their names.

    Raises:
        UserError: there are fewer.
    """
    if count > len(identities):
        raise UserError(f"{count} processes need a device each; {len(identities)} are visible")
    chosen: list[str] = []
    with contextlib.ExitStack() as stack:
        # One at a time: two runs that each wait for what the other holds would wait for ever.
        with lease(["several"], folder):
            while len(chosen) < count:
                free = [name for name in identities if name not in chosen]
                chosen.append(free[stack.enter_context(lease(free, folder))])
        yield chosen


@contextlib.contextmanager
def lease(identities: list[str], folder: Path, patience: float | None = None) -> Iterator[int]:
    """Hold the lock of the first free device.

    Args:
        identities: names of the devices, the same in every process that competes for them.
        folder: where the lock files lie.
        patience: seconds to wait for a device; None waits for ever.

    Yields:
        The index of the device in ``identities``.

    Raises:
        TimeoutError: no device became free in time.
    """
    deadline = None if patience is None else time.monotonic() + patience
    while True:
        for number, identity in enumerate(identities):
            lock = try_lock(folder / f"gpu-{identity.replace('/', '-')}.lock")
            if lock is not None:
                with lock:
                    yield number
                return
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"no free device among {', '.join(identities)}")
        time.sleep(_POLL_SECONDS if patience is None else min(_POLL_SECONDS, patience / 10))


def _visible_ids() -> list[str]:
    """Return names of the visible devices that are the same in every process of this machine."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed:
        return [name.strip() for name in listed.split(",")]
    return [str(number) for number in range(torch.cuda.device_count())]


def _lock_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"distillery-devices-{os.getuid()}"
