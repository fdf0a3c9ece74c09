"""Measurements and estimates as people read them."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.core.measuring import MIB
from distillery.core.text_tables import text_table
from distillery.costs.bench import COMPARED
from distillery.costs.choice import Choice
from distillery.costs.estimate import Estimate
from distillery.costs.rates import Rates

_NOT_MEASURED = "not measured"


def duration(seconds: float) -> str:
    """Return seconds in the unit that suits them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Return bytes in MiB or GiB."""
    return f"{count / MIB:.1f} MiB" if count < 1024 * MIB else f"{count / 1024 / MIB:.1f} GiB"


def of_bench(rates: Rates, choice: Choice) -> Iterator[str]:
    """Yield the lines of what was measured and what to choose."""
    steps = sorted({_without_precision(name) for name in rates.training})
    rows = [_precisions(rates, step) for step in steps]
    yield from text_table(("training, images/s", *COMPARED, "bf16 / no"), rows)
    yield ""
    if rates.methods:
        added = [
            (name, f"{1000 * cost.seconds:.1f}", f"{cost.first_stage or '-'}")
            for name, cost in rates.methods.items()
        ]
        yield from text_table(("methods", "ms added to a step", "epochs before"), added)
        yield ""
    yield from text_table(
        ("evaluation, no gradients", "images/s"),
        [(name, f"{rate:.0f}") for name, rate in rates.inference.items()],
    )
    for what, measured in (
        ("threads of one process", rates.threads),
        ("processes at a time", rates.lanes),
    ):
        for step, found in measured.items():
            yield ""
            row = [f"{rate:.0f}" for rate in found.values()]
            yield from text_table((what, *map(str, found)), [(f"images/s, {step}", *row)])
    yield ""
    yield from _choice(choice)


def of_estimate(found: Estimate) -> Iterator[str]:
    """Yield the lines of an estimate."""
    rows = [
        (
            name,
            str(stage.runs),
            str(stage.missing),
            *_times(stage.seconds, stage.untimed, stage.runs),
            *_times(stage.missing_seconds, stage.untimed, stage.missing),
            size(stage.bytes),
            size(stage.missing_bytes),
        )
        for name, stage in found.stages.items()
    ]
    stages = found.stages.values()
    total = (
        "sum",
        str(sum(stage.runs for stage in stages)),
        str(sum(stage.missing for stage in stages)),
        duration(sum(stage.seconds for stage in stages)),
        duration(sum(stage.missing_seconds for stage in stages)),
        size(sum(stage.bytes for stage in stages)),
        size(sum(stage.missing_bytes for stage in stages)),
    )
    head = ("stage", "runs", "to do", "one at a time", "to do", "disk", "to do")
    yield from text_table(head, [*rows, total])
    yield ""
    at_a_time = f"{found.lanes} at a time" if found.lanes > 1 else "one at a time"
    whole, left = duration(found.seconds), duration(found.missing_seconds)
    yield f"On this machine, {at_a_time}: {whole} for all of it, {left} for what is to do"
    whole, left = _gpu(found.gpu_seconds), _gpu(found.missing_gpu_seconds)
    yield f"GPU-hours: {whole} for all of it, {left} for what is to do"


def caveats(found: Estimate) -> Iterator[str]:
    """Yield what an estimate leaves out or only guesses by FLOPs, a line each."""
    untimed = {name: stage.untimed for name, stage in found.stages.items() if stage.untimed}
    if untimed:
        named = ", ".join(f"{count} of {name}" for name, count in untimed.items())
        yield f"Not in the time, since no run like these was made here yet: {named}"
    if found.by_flops:
        yield f"By FLOPs alone, not measured: {', '.join(found.by_flops)}"
    if found.without:
        yield f"Without what these methods add to a step, not measured: {', '.join(found.without)}"
    for name in found.unknown:
        yield f"Left out with all that reads it, since its images are not known yet: {name}"
    yield "Disk is that of arrays and networks; tables of evaluations and the report are small."


def _precisions(rates: Rates, step: str) -> tuple[str, ...]:
    network, batch, *others = step.split(", ")
    found = [rates.training.get(", ".join((network, batch, each, *others))) for each in COMPARED]
    single, half = found
    ratio = f"{half / single:.2f}" if single and half else "-"
    return (step, *(f"{rate:.0f}" if rate else "-" for rate in found), ratio)


def _without_precision(name: str) -> str:
    network, batch, _, *others = name.split(", ")
    return ", ".join((network, batch, *others))


def _choice(choice: Choice) -> Iterator[str]:
    if choice.precision is None:
        yield f"compute.precision: {_NOT_MEASURED} for all networks"
    else:
        yield (
            f"compute.precision: {choice.precision} (bf16 trains {choice.speed_up:.2f} times as "
            "fast; see docs/precision.md for what it does to accuracies)"
        )
    yield f"compute.threads: {choice.threads or _NOT_MEASURED}"
    yield f"runs at a time: {choice.lanes or _NOT_MEASURED}"
    best = choice.evaluation_batch or _NOT_MEASURED
    yield f"fastest batch of evaluation: {best}"


def _times(seconds: float, untimed: int, runs: int) -> tuple[str]:
    if runs and untimed == runs:
        return ("?",)
    return (duration(seconds) if runs else "-",)


def _gpu(seconds: float | None) -> str:
    return _NOT_MEASURED if seconds is None else f"{seconds / 3600:.2f}"
