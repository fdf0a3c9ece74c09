"""From what a run computes to its seconds: by what was measured, else by FLOPs.

A step takes as long as the student's step with cross-entropy, once for each view; the teachers that
are run along; and what the method adds, which is that of the first student with it. What was not
measured is taken to compute as many FLOPs a second as what was, in the middle.
"""

from __future__ import annotations

import statistics
from functools import cache

from distillery.core.errors import UserError
from distillery.costs.measuring import Precision, evaluation_batch
from distillery.costs.rates import Rates, inference_name, method_name, step_name
from distillery.costs.work import Inference, Network, Training, Work
from distillery.models.cost import forward_flops

# A step computes the gradients of weights and of maps beside the maps.
PASSES_OF_STEP = 3
"""FLOPs of a step by those of a forward pass."""


class Prediction:
    """Predicts seconds on one machine, one run at a time.

    Attributes:
        by_flops: networks whose speed was not measured.
        without: methods whose own cost was not measured, and is left out.
    """

    def __init__(self, rates: Rates, networks: dict[str, Network]) -> None:
        """Take what was measured.

        Args:
            rates: what was measured.
            networks: those that may have been, by ``str(network)``.
        """
        self.by_flops: set[str] = set()
        self.without: set[str] = set()
        self._rates = rates
        self._networks = networks

    def seconds(self, work: Work, precision: Precision | None = None) -> float:
        """Return the seconds of a run, without start-up.

        Args:
            work: what it computes.
            precision: mixed precision of training; that of its settings when not given.
        """
        if isinstance(work, Inference):
            return work.images / self._inference(work.network)
        precision = precision or work.settings.compute.precision
        steps, images = work.steps, work.batch_size
        seconds = images / self._training(work, precision)
        if work.teaching:
            teaching, shown = work.teaching, images * work.teaching.views
            seconds *= teaching.views
            if teaching.live:
                seconds += sum(shown / self._inference(each) for each in teaching.teachers)
            cost = self._rates.methods.get(method_name(work))
            if cost is None:
                self.without.add(teaching.name)
            else:
                seconds += cost.seconds
                steps += cost.first_stage * work.steps_of_epoch
        return steps * seconds + work.evaluated / self._inference(work.network)

    def knows(self, training: Training, precision: Precision) -> bool:
        """Tell whether the step of a training was measured."""
        return step_name(training, precision) in self._rates.training

    def _training(self, training: Training, precision: Precision) -> float:
        """Return the images a second of a training step."""
        rate = self._rates.training.get(step_name(training, precision))
        if rate is None:
            flops = self._flops_a_second(precision)
            self.by_flops.add(str(training.network))
            rate = flops / (PASSES_OF_STEP * forward_flops_of(training.network))
        return rate

    def _inference(self, network: Network) -> float:
        """Return the images a second of a classification, in batches as they are used."""
        rate = self._rates.inference.get(inference_name(network, evaluation_batch(network)))
        if rate is None:
            self.by_flops.add(str(network))
            rate = self._flops_a_second("no") / forward_flops_of(network)
        return rate

    @property
    def has_speed(self) -> bool:
        """Whether a step of any of these networks was measured, so that others can be predicted."""
        return bool(self._speeds())

    def _flops_a_second(self, precision: Precision) -> float:
        """Return the FLOPs a second of the steps that were measured, their median.

        Where none was measured in this precision single precision counts, and then any other.

        Raises:
            UserError: nothing was measured.
        """
        found = self._speeds()
        if not found:
            raise UserError(
                "no step of these networks was measured on this machine yet: run `distillery "
                "bench` on this params file first"
            )
        every = [flops for of_precision in found.values() for flops in of_precision]
        return statistics.median(found.get(precision) or found.get("no") or every)

    def _speeds(self) -> dict[str, list[float]]:
        """Return the FLOPs a second of every measured step of these networks, by precision."""
        found: dict[str, list[float]] = {}
        for name, rate in self._rates.training.items():
            network, _, of_name, *_ = name.split(", ")
            if network in self._networks and "compiled" not in name:
                flops = rate * PASSES_OF_STEP * forward_flops_of(self._networks[network])
                found.setdefault(of_name, []).append(flops)
        return found


@cache
def forward_flops_of(network: Network) -> int:
    """Return the FLOPs of classifying one image."""
    return forward_flops(network.spec)
