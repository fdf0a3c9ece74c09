"""What to choose on a machine, by what was measured there."""

from __future__ import annotations

from collections.abc import Mapping

from distillery.core.settings import FrozenModel
from distillery.costs.bench import COMPARED
from distillery.costs.estimate import prediction_of
from distillery.costs.measuring import Precision
from distillery.costs.rates import Rates
from distillery.costs.work import Training, Works

# What is not faster by this much is not worth other last digits, or a measurement's noise.
_WORTHWHILE = 1.1


class Choice(FrozenModel):
    """What is fastest; None where it was not measured."""

    precision: Precision | None
    """`compute.precision`. It is for people to judge whether accuracies are equal."""
    speed_up: float | None
    """How many times faster training is with bf16 than in single precision."""
    threads: int | None
    """`compute.threads`."""
    lanes: int | None
    """Runs at a time."""
    evaluation_batch: int | None
    """Images of a batch that is classified."""


def choose(works: Works, rates: Rates) -> Choice:
    """Return what is fastest for the runs of a plan."""
    speed_up = _speed_up(works, rates)
    lanes, threads = _best(rates.lanes), _best(rates.threads)
    if rates.machine.cores > 1 and len(next(iter(rates.lanes.values()), {})) == 1:
        # There was no time for several.
        lanes = None
    beside = max(next(iter(rates.lanes.values()), {}).values(), default=0.0)
    alone = max(next(iter(rates.threads.values()), {}).values(), default=0.0)
    many = beside >= alone
    batches = {
        int(name.rpartition(" ")[2]): rate
        for name, rate in rates.inference.items()
        if sum(other.startswith(name.rpartition(" ")[0]) for other in rates.inference) > 1
    }
    return Choice(
        precision=None if speed_up is None else "bf16" if speed_up >= _WORTHWHILE else "no",
        speed_up=speed_up,
        threads=1 if threads and many else threads,
        lanes=lanes if many or lanes is None else 1,
        evaluation_batch=max(batches, key=batches.__getitem__, default=None),
    )


def _best(measured: Mapping[str, Mapping[int, float]]) -> int | None:
    """Return the number with the highest rate, the smaller of two that are nearly alike."""
    rates = next(iter(measured.values()), {})
    best: int | None = None
    for number in sorted(rates):
        if best is None or rates[number] >= _WORTHWHILE * rates[best]:
            best = number
    return best


def _speed_up(works: Works, rates: Rates) -> float | None:
    """Return the ratio of the seconds of all training in both precisions, if both were measured."""
    prediction = prediction_of(works, rates)
    seconds = dict.fromkeys(COMPARED, 0.0)
    for run in works.plan.runs.values():
        work = works.of(run)
        if isinstance(work, Training):
            for precision in COMPARED:
                if not prediction.knows(work, precision):
                    return None
                seconds[precision] += prediction.seconds(work, precision)
    return seconds["no"] / seconds["bf16"] if seconds["bf16"] else None
