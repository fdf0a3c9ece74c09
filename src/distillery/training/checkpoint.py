"""Saving and restoring an unfinished training run: tensors and plain values, never code."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distillery.core.errors import DamagedArtifact
from distillery.core.files import atomic_writer

_NAME = "checkpoint.pt"

# Sum of what was logged under a name, and how often it was.
Tally = tuple[Tensor, int]


@dataclass
class TrainingState:
    """How far a run has come.

    Since all randomness is counter-based, this and the tensors are the whole state: a run that is
    resumed in the middle of an epoch ends with the same bits as an uninterrupted one.

    Attributes:
        phase: 0 for the first stage of the run.
        epoch: epoch of the phase, from 0.
        batch: batches of the epoch that are done.
        step: optimiser steps of the run that are done.
        sums: sums of the epoch's metrics so far, over the images of one process.
        other_sums: those of the second process, the third, ... in a checkpoint.
        history: one row for each finished epoch.
        diagnosing: what the method has logged in the epoch so far, of the first process.
        diagnostics: its means, one row for each finished epoch.
        seconds: time spent training so far.
    """

    phase: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    other_sums: list[dict[str, float]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    diagnosing: dict[str, Tally] = field(default_factory=dict)
    diagnostics: list[dict[str, Tensor]] = field(default_factory=list)
    seconds: float = 0.0


def save(
    folder: Path,
    state: TrainingState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: Any = None,
) -> None:
    """Write the checkpoint so that a kill at any moment leaves the old or the new one.

    Raises:
        OSError: the disk is full, or the file cannot be written.
        RuntimeError: torch could not write it for another reason.
    """
    saved = {
        "state": vars(state),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
    }
    with atomic_writer(folder / _NAME) as file:
        try:
            torch.save(saved, file)
        except RuntimeError as error:
            # What torch makes of an error of the file that it writes to.
            cause = error.__context__
            raise (cause if isinstance(cause, OSError) else error) from None


def load(folder: Path) -> dict[str, Any] | None:
    """Return the saved state, or None for a fresh run. Loads tensors and plain values only.

    Raises:
        DamagedArtifact: the file is not what ``save`` wrote.
    """
    path = folder / _NAME
    if not path.exists():
        return None
    try:
        return _read(path)
    # A damaged file can make the readers fail in any way.
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DamagedArtifact(
            f"{path}: unreadable ({reason}); delete the folder {folder} to begin this run again"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    # Torch does not look at the checksums in its files.
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
    return dict(torch.load(path, map_location="cpu", weights_only=True))
