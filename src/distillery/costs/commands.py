"""What the command line asks: measure an experiment, and estimate it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel
from distillery.costs import bench, text
from distillery.costs.choice import Choice, choose
from distillery.costs.estimate import Estimate, estimate, prediction_of
from distillery.costs.machine import here
from distillery.costs.measuring import Precision
from distillery.costs.rates import Rates, keep, kept, kept_here
from distillery.costs.work import Training, Works
from distillery.planning import loading


class Benchmark(FrozenModel):
    """What `distillery bench` found."""

    rates: Rates
    """What was measured now."""
    choice: Choice
    """What is fastest."""
    estimates: dict[Precision, Estimate]
    """The whole experiment, by precision."""
    kept: str
    """The file that later estimates use."""

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield f"{self.rates.machine}, torch {self.rates.machine.torch}"
        yield ""
        yield from text.of_bench(self.rates, self.choice)
        yield ""
        for precision, found in self.estimates.items():
            whole, gpu = text.duration(found.seconds), found.gpu_seconds
            on_gpu = f", {text.duration(gpu)} of an accelerator" if gpu is not None else ""
            yield f"the whole file with {precision}: {whole}, {found.lanes} at a time{on_gpu}"
        yield from text.caveats(next(iter(self.estimates.values())))
        yield f"kept in {self.kept} for `distillery plan --estimate`"


class Estimated(FrozenModel):
    """What `distillery plan --estimate` found."""

    name: str
    """Name of the experiment."""
    basis: str
    """What the seconds are based on."""
    estimate: Estimate
    """What it costs."""

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield from text.of_estimate(self.estimate)
        yield f"Based on {self.basis}"
        yield from text.caveats(self.estimate)


def benchmark(params: Path, data: Path, seconds: float) -> Benchmark:
    """Measure an experiment on this machine, and keep what was measured.

    Args:
        params: the params file.
        data: the data folder.
        seconds: how long it may take, the reading of the plan apart.

    Raises:
        UserError: the images are not known before they are prepared.
    """
    works = Works(loading.load(params, data), data)
    for run in works.unknown():
        raise UserError(
            f"{params}: the size of its images is not known before they are prepared; "
            f"run `distillery run {run.name} --params {params}` first"
        )
    rates = bench.measure(works, seconds)
    file = keep(rates, data)
    gpu = rates if rates.machine.has_gpu else None
    own = next(_precisions(works))
    estimates = {
        precision: estimate(works, data, rates, gpu, precision)
        for precision in dict.fromkeys((own, *bench.COMPARED))
    }
    return Benchmark(rates=rates, choice=choose(works, rates), estimates=estimates, kept=str(file))


def estimated(params: Path, data: Path) -> Estimated:
    """Estimate an experiment by what was measured before, or by a measurement of two seconds."""
    plan = loading.load(params, data)
    works, machine = Works(plan, data), here()
    rates = kept_here(data, machine)
    # Those of other networks say nothing of these.
    usable = (each for each in kept(data) if prediction_of(works, each).has_speed)
    gpu = next((each for each in usable if each.machine.has_gpu), None)
    basis = "seconds of finished runs, where there are any"
    if rates is None or not prediction_of(works, rates).has_speed:
        rates = bench.quick(works)
        speeds = ", ".join(
            f"{rate:.0f} images/s of {name}" for name, rate in rates.training.items()
        )
        known = f"FLOPs and {speeds}" if speeds else "unknown"
        basis += f", else {known}; `distillery bench {params}` measures all of it"
    else:
        basis += f", else `distillery bench` of {rates.measured} on {machine}"
    if gpu is not None:
        basis += f"; GPU-hours on {gpu.machine.device}, measured {gpu.measured}"
    found = estimate(works, data, rates, gpu)
    return Estimated(name=plan.name, basis=basis, estimate=found)


def _precisions(works: Works) -> Iterator[Precision]:
    for run in works.plan.runs.values():
        work = works.of(run)
        if isinstance(work, Training):
            yield work.settings.compute.precision
