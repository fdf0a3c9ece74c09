"""What a plan costs here: hours and disk of all its runs, and of those that are missing."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from distillery.core.settings import FrozenModel
from distillery.costs.disk import bytes_of, stored_bytes
from distillery.costs.machine import Machine
from distillery.costs.makespan import makespan
from distillery.costs.measuring import Precision
from distillery.costs.prediction import Prediction
from distillery.costs.rates import Rates, step_name
from distillery.costs.work import Training, Works
from distillery.runs.artifact import Artifact, Finished
from distillery.runs.run import Run
from distillery.runs.stages import STAGES


class Stage(FrozenModel):
    """What the runs of one stage cost, one after the other."""

    runs: int = 0
    """How many there are."""
    missing: int = 0
    """How many of them are not done."""
    seconds: float = 0
    """Of all of them, each alone."""
    missing_seconds: float = 0
    """Of those that are not done."""
    bytes: int = 0
    """Of all of them."""
    missing_bytes: int = 0
    """Of those that are not done."""
    untimed: int = 0
    """Missing runs that no measurement tells the seconds of: they count as nothing."""


class Estimate(FrozenModel):
    """What a plan costs on one machine."""

    stages: dict[str, Stage]
    """By the names of the stages."""
    lanes: int
    """Runs at a time."""
    seconds: float
    """From the first run to the last, if none were done."""
    missing_seconds: float
    """From now on."""
    gpu_seconds: float | None
    """Of an accelerator, over all runs; None where none was measured."""
    missing_gpu_seconds: float | None
    """Of those that are not done."""
    by_flops: tuple[str, ...]
    """Networks whose speed was not measured."""
    without: tuple[str, ...]
    """Methods whose own cost was not measured, and is left out."""
    unknown: tuple[str, ...]
    """Runs that must prepare their data before its size is known; what reads them is left out."""


def estimate(
    works: Works,
    data: Path,
    rates: Rates,
    gpu_rates: Rates | None = None,
    precision: Precision | None = None,
) -> Estimate:
    """Estimate what a plan costs.

    Args:
        works: the plan, and what its runs compute.
        data: the data folder.
        rates: how fast this machine is.
        gpu_rates: how fast one with an accelerator is, this one or another.
        precision: mixed precision of training; that of the params file when not given.
    """
    runs, plan = works.plan.runs, works.plan
    lanes = max(1, rates.machine.cores // plan.threads) if not rates.machine.has_gpu else 1
    prediction = prediction_of(works, rates)
    recorded = _recorded(works, data, rates.machine)
    slower = _slowdown(works, rates, lanes)
    seconds = {
        name: _seconds(run, works, prediction, recorded, precision) for name, run in runs.items()
    }
    missing = {run.location for run in plan.pending(data)}
    known = {name: found * slower for name, found in seconds.items() if found is not None}

    def whole(wanted: Collection[str]) -> float:
        # Programs of a stage start at about the same time.
        starts = len({runs[name].stage for name in known.keys() & wanted})
        return starts * (rates.start or 0.0) + makespan(runs, known, wanted, lanes)

    gpu = None if gpu_rates is None else _gpu_seconds(works, gpu_rates, precision)
    return Estimate(
        stages=_stages(works, data, seconds, missing),
        lanes=lanes,
        seconds=whole(runs),
        missing_seconds=whole(missing),
        gpu_seconds=None if gpu is None else sum(gpu.values()),
        missing_gpu_seconds=None
        if gpu is None
        else sum(gpu[each] for each in gpu.keys() & missing),
        by_flops=tuple(sorted(prediction.by_flops)),
        without=tuple(sorted(prediction.without)),
        unknown=tuple(run.name for run in works.unknown()),
    )


def prediction_of(works: Works, rates: Rates) -> Prediction:
    """Return what predicts the seconds of a plan's runs from rates."""
    runs = works.plan.runs.values()
    shapes = [works.shape(run) for run in runs if "arch" in run.settings]
    return Prediction(rates, {str(shape): shape for shape in shapes if shape})


def _seconds(
    run: Run,
    works: Works,
    prediction: Prediction,
    recorded: Mapping[Any, float],
    precision: Precision | None,
) -> float | None:
    """Return the seconds of a run, its own if it is done; None if nothing tells them."""
    if run.location in recorded:
        return recorded[run.location]
    kind = _kind(run, works)
    if kind in recorded and precision is None:
        return recorded[kind]
    work = works.of(run)
    return None if work is None else prediction.seconds(work, precision)


def _recorded(works: Works, data: Path, machine: Machine) -> dict[Any, float]:
    """Return the seconds that finished runs took on such a machine, and the median of each kind."""
    found: dict[Any, float] = {}
    of_kind: dict[Any, list[float]] = defaultdict(list)
    finished = Finished(data)
    for run in works.plan.runs.values():
        if run.location not in finished:
            continue
        record = Artifact(finished.path(run.location)).manifest["record"]
        own = record.get("device", "cpu") in ("cpu", machine.device)
        if not own or record.get("processor") != machine.processor:
            continue
        found[run.location] = float(record["wall_seconds"])
        of_kind[_kind(run, works)].append(found[run.location])
    return found | {kind: statistics.median(taken) for kind, taken in of_kind.items()}


def _kind(run: Run, works: Works) -> Any:
    """Return what runs have in common that take about equally long."""
    work = works.of(run)
    match work:
        case Training(teaching=teaching):
            step = step_name(work, work.settings.compute.precision)
            return run.stage, step, work.steps, work.evaluated, teaching and teaching.name
        case None:
            return run.stage, run.settings.get("protocol"), run.inputs.get("prepared")
        case _:
            return run.stage, work


def _slowdown(works: Works, rates: Rates, lanes: int) -> float:
    """Return how much longer a run takes while all lanes are busy; 1 where it was not measured."""
    for found in rates.lanes.values():
        if 1 in found and lanes in found:
            return max(1.0, lanes * found[1] / found[lanes])
    return 1.0


def _gpu_seconds(works: Works, rates: Rates, precision: Precision | None) -> dict[str, float]:
    """Return the seconds of each run that computes on an accelerator."""
    prediction = prediction_of(works, rates)
    found = {}
    for name, run in works.plan.runs.items():
        work = works.of(run) if STAGES[run.stage].gpu else None
        if work is not None:
            found[name] = prediction.seconds(work, precision)
    return found


def _stages(
    works: Works, data: Path, seconds: Mapping[str, float | None], missing: Collection[str]
) -> dict[str, Stage]:
    """Return the sums over the runs of each stage."""
    sums: dict[str, dict[str, Any]] = {}
    finished = Finished(data)
    for name, run in works.plan.runs.items():
        total = sums.setdefault(run.stage, Stage().model_dump())
        is_missing, taken = name in missing, seconds[name]
        size = (bytes_of(run, works) or 0) if is_missing else stored_bytes(finished.path(name))
        total["runs"] += 1
        total["seconds"] += taken or 0.0
        total["bytes"] += size
        if is_missing:
            total["missing"] += 1
            total["missing_seconds"] += taken or 0.0
            total["missing_bytes"] += size
            total["untimed"] += taken is None
    return {stage: Stage(**total) for stage, total in sums.items()}
