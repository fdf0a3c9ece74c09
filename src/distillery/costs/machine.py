"""The machine that measurements hold for."""

from __future__ import annotations

import hashlib

import torch

from distillery.core import devices
from distillery.core.processes import present_cores
from distillery.core.settings import FrozenModel
from distillery.runs.provenance import processor


class Machine(FrozenModel):
    """What decides how fast runs are."""

    processor: str
    """Model of the processor."""
    cores: int
    """Cores that this process may use."""
    device: str
    """Name of the accelerator, or `cpu`."""
    torch: str
    """Version of torch."""

    @property
    def has_gpu(self) -> bool:
        """Whether networks are run on an accelerator."""
        return self.device != "cpu"

    @property
    def digest(self) -> str:
        """16 hex digits that stand for the machine in names of files."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def __str__(self) -> str:
        where = f"{self.processor}, {self.cores} core{'s' if self.cores > 1 else ''}"
        return f"{self.device}, {where}" if self.has_gpu else where


def device() -> torch.device:
    """Return the device on which networks are run here."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def here() -> Machine:
    """Return the machine that this process runs on."""
    return Machine(
        processor=processor(),
        cores=present_cores(),
        device=devices.describe(device()),
        torch=torch.__version__,
    )
