"""Measures what an experiment asks of a machine, what it computes most first, until time is up."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from distillery.costs import lanes
from distillery.costs.machine import here
from distillery.costs.measuring import (
    Precision,
    evaluation_batch,
    inference_of,
    method_of,
    seconds_of,
    training_step_of,
)
from distillery.costs.prediction import PASSES_OF_STEP, forward_flops_of
from distillery.costs.rates import Rates, inference_name, method_name, step_name
from distillery.costs.work import Inference, Network, Training, Works

COMPARED: tuple[Precision, ...] = ("no", "bf16")
# Beside the one that is used.
EVALUATIONS = (64, 128, 256, 512, 1024)
# What trains a network imports these, the second one late.
_STARTED = "import distillery.training.student, torch.distributed.tensor"
# More than this does not make a median better.
_LONGEST = 3.0
# About a second on a core; so long is waited twice for each precision.
_FLOPS_OF_STEP = 10**11
_SMALLEST = 4
# The same of a classification.
_FLOPS_OF_INFERENCE = 3 * 10**10
# Seconds, beside starting, that are kept for each number of processes at a time.
_FOR_LANES = 2.0


def measure(works: Works, seconds: float) -> Rates:
    """Measure what an experiment computes.

    Networks with most work come first; what there is no time for is not in the result.

    Args:
        works: the plan, and what its runs compute.
        seconds: how long it may take; one step may exceed it.
    """
    return _Bench(works, seconds).rates()


def quick(works: Works, seconds: float = 2.0) -> Rates:
    """Measure nothing but the speed of what is trained most, in its own precision."""
    bench = _Bench(works, seconds)
    for training in bench.trainings[:1]:
        bench.train(training, (training.settings.compute.precision,), seconds)
    return bench.result


class _Bench:
    """One series of measurements."""

    def __init__(self, works: Works, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._total = seconds
        self.result = Rates(machine=here(), measured=datetime.now(UTC).date().isoformat())
        found = [works.of(run) for run in works.plan.runs.values()]
        trained = [work for work in found if isinstance(work, Training)]
        inferred = [work for work in found if isinstance(work, Inference)]
        self.trainings = _distinct_trainings(trained)
        self.methods = _distinct_methods(trained)
        self.inferences = _distinct_networks(trained, inferred)

    def rates(self) -> Rates:
        """Measure until time is up."""
        self._start()
        reserved = min(self._total / 2, self._for_lanes * len(self._lanes))
        tasks = list(self._tasks())
        for number, task in enumerate(tasks):
            left = self._left() - reserved
            # Without one network that was measured, nothing can be said of any.
            if left <= 0 and number:
                break
            task(min(_LONGEST, max(left, 0) / (len(tasks) - number)))
        self._beside()
        return self.result

    def train(self, training: Training, precisions: tuple[Precision, ...], seconds: float) -> None:
        """Measure steps with cross-entropy."""
        measured = self._affordable(training)
        parts = {each: training_step_of(measured, each) for each in precisions}
        for precision, taken in seconds_of(parts, seconds).items():
            name = step_name(training, precision)
            self.result.training[name] = parts[precision].images / taken

    def _tasks(self) -> Iterator[Callable[[float], None]]:
        """Yield what to measure; each gets its seconds."""
        for training in self.trainings:
            own = training.settings.compute.precision
            yield partial(self.train, training, tuple(dict.fromkeys((*COMPARED, own))))
        for training in self.methods:
            if self._affordable(training) is training:
                yield partial(self._teach, training)
        for network in self.inferences:
            yield partial(self._infer, network, (evaluation_batch(network),))
        first = self.inferences[0]
        yield partial(self._infer, first, tuple(sorted({*EVALUATIONS, evaluation_batch(first)})))
        yield self._threads

    def _infer(self, network: Network, batches: tuple[int, ...], seconds: float) -> None:
        most = self._most(forward_flops_of(network), _FLOPS_OF_INFERENCE)
        parts = {batch: inference_of(network, min(batch, most)) for batch in batches}
        for batch, taken in seconds_of(parts, seconds).items():
            rate = parts[batch].images / taken
            self.result.inference[inference_name(network, batch)] = rate

    def _teach(self, training: Training, seconds: float) -> None:
        assert training.teaching
        cost = method_of(training, training.teaching, seconds)
        self.result.methods[method_name(training)] = cost

    def _threads(self, seconds: float) -> None:
        """Measure one process with 1, 2, 4, ... threads, where networks run on the CPU."""
        machine, training = self.result.machine, self._affordable(self.trainings[0])
        if machine.has_gpu or machine.cores == 1:
            return
        precision = training.settings.compute.precision
        counts = _powers_of_two(machine.cores)
        name = step_name(training, precision)
        self.result.threads[name] = {
            count: _rate_with(training.with_threads(count), precision, seconds / len(counts))
            for count in counts
        }

    def _beside(self) -> None:
        """Measure several processes at a time, and a compiled network."""
        training = self._affordable(self.trainings[0])
        precision = training.settings.compute.precision
        name = step_name(training, precision)
        rates = {}
        for count in self._lanes:
            if self._left() < self._for_lanes / 2:
                break
            found = lanes.together(training, count, _FOR_LANES)
            if found:
                rates[count] = found
        if rates:
            self.result.lanes[name] = rates
        if self._left() > 0:
            rate = lanes.compiled(training, min(_LONGEST, self._left()), self._left())
            if rate:
                self.result.training[step_name(training, precision, compiled=True)] = rate

    def _affordable(self, training: Training) -> Training:
        """Return a training with smaller batches where a step would take too long on a CPU.

        The images a second of a network that is so large hardly depend on the size of the batch.
        """
        flops = PASSES_OF_STEP * forward_flops_of(training.network)
        most = self._most(flops, _FLOPS_OF_STEP)
        return training if most >= training.batch_size else training.with_batch(most)

    def _most(self, flops: int, at_most: int) -> int:
        """Return the most images of a batch, each of so many FLOPs, that cost ``at_most``."""
        if self.result.machine.has_gpu:
            return sys.maxsize
        return max(_SMALLEST, at_most // flops)

    @property
    def _lanes(self) -> list[int]:
        """Numbers of processes to measure at a time."""
        threads = self.trainings[0].settings.compute.threads
        return _powers_of_two(max(1, self.result.machine.cores // threads))

    @property
    def _for_lanes(self) -> float:
        """Seconds to measure each of them."""
        return _FOR_LANES + (self.result.start or 0.0)

    def _start(self) -> None:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", _STARTED], check=True)
        self.result = self.result.model_copy(update={"start": time.monotonic() - began})

    def _left(self) -> float:
        return self._end - time.monotonic()


def _rate_with(training: Training, precision: Precision, seconds: float) -> float:
    step = training_step_of(training, precision)
    return step.images / seconds_of({"step": step}, seconds)["step"]


def _powers_of_two(largest: int) -> list[int]:
    """Return 1, 2, 4, ... and the largest number itself."""
    powers = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    return [*powers, largest]


def _distinct_trainings(trained: list[Training]) -> list[Training]:
    """Return a training of each network and batch size, those with most FLOPs first."""
    examples: dict[str, Training] = {}
    flops: dict[str, int] = defaultdict(int)
    for training in trained:
        name = step_name(training, training.settings.compute.precision)
        examples.setdefault(name, training)
        flops[name] += training.steps * training.batch_size * forward_flops_of(training.network)
    return [examples[name] for name in sorted(examples, key=lambda name: -flops[name])]


def _distinct_methods(trained: list[Training]) -> list[Training]:
    """Return the first student of each method and batch size."""
    examples: dict[str, Training] = {}
    for training in trained:
        if training.teaching:
            examples.setdefault(method_name(training), training)
    return list(examples.values())


def _distinct_networks(trained: list[Training], inferred: list[Inference]) -> list[Network]:
    """Return every network that is run without being trained, those with most FLOPs first."""
    flops: dict[Network, int] = defaultdict(int)
    for training in trained:
        flops[training.network] += training.evaluated * forward_flops_of(training.network)
        teaching = training.teaching
        for teacher in teaching.teachers if teaching and teaching.live else ():
            flops[teacher] += training.steps * training.batch_size * forward_flops_of(teacher)
    for work in inferred:
        flops[work.network] += work.images * forward_flops_of(work.network)
    return sorted(flops, key=lambda network: -flops[network])
