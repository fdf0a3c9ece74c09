"""What was measured on a machine, kept below the data folder for every params file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from distillery.core.files import write_atomically
from distillery.core.settings import FrozenModel
from distillery.costs.machine import Machine
from distillery.costs.measuring import MethodCost, Precision
from distillery.costs.work import Network, Training

_FOLDER = ".cache/bench"


class Rates(FrozenModel):
    """How fast a machine is; names are those that the functions of this module make."""

    machine: Machine
    """Where it was measured."""
    measured: str
    """Day of the last measurement."""
    training: dict[str, float] = Field(default_factory=dict)
    """Step with cross-entropy alone -> images a second."""
    inference: dict[str, float] = Field(default_factory=dict)
    """Classification of a batch -> images a second."""
    methods: dict[str, MethodCost] = Field(default_factory=dict)
    """Method and batch size -> what it adds to a step."""
    threads: dict[str, dict[int, float]] = Field(default_factory=dict)
    """Step -> CPU threads -> images a second."""
    lanes: dict[str, dict[int, float]] = Field(default_factory=dict)
    """Step -> processes at a time -> images a second of all of them together."""
    start: float | None = None
    """Seconds until a program has imported what trains a network."""

    def updated(self, newer: Rates) -> Rates:
        """Return these rates, those of ``newer`` in their place where it has any."""
        merged = {
            name: {**getattr(self, name), **getattr(newer, name)}
            for name in ("training", "inference", "methods", "threads", "lanes")
        }
        start = self.start if newer.start is None else newer.start
        return newer.model_copy(update={**merged, "start": start})


def step_name(training: Training, precision: Precision, *, compiled: bool = False) -> str:
    """Return what the rate of a training step is filed under."""
    parts, threads = [f"batch {training.batch_size}", precision], training.settings.compute.threads
    parts += [f"{threads} threads"] if threads > 1 else []
    parts += ["compiled"] if compiled else []
    return ", ".join([str(training.network), *parts])


def inference_name(network: Network, batch: int) -> str:
    """Return what the rate of a classification is filed under."""
    return f"{network}, batch {batch}"


def method_name(training: Training) -> str:
    """Return what the cost of a student's method is filed under."""
    assert training.teaching
    return f"{training.teaching.name}, batch {training.batch_size}"


def keep(rates: Rates, data: Path) -> Path:
    """Keep what was measured, beside what was before on the same machine; return the file."""
    file = data / _FOLDER / f"{rates.machine.digest}.json"
    older = _read(file)
    merged = older.updated(rates) if older else rates
    write_atomically(file, merged.model_dump_json(indent=2).encode())
    return file


def kept(data: Path) -> Iterator[Rates]:
    """Yield what was measured on each machine that has this data folder."""
    for file in sorted((data / _FOLDER).glob("*.json")):
        rates = _read(file)
        if rates:
            yield rates


def kept_here(data: Path, machine: Machine) -> Rates | None:
    """Return what was measured on this machine; None if nothing was."""
    return next((rates for rates in kept(data) if rates.machine == machine), None)


def _read(file: Path) -> Rates | None:
    """Return what a file holds; None if there is none, or one of another version."""
    try:
        return Rates.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
