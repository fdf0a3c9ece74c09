"""What each method adds to a training step, by the protocol `computation`.

    python -m benchmarks.method_costs > src/distillery/catalogue/costs.csv

Every method has its default options and weights on one pair of networks that all of them can match.
Times are those that the process computes, with one thread; each step is timed beside one with
cross-entropy alone, in turn with all other methods, so that a busy machine hits both alike.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from benchmarks import made_up
from benchmarks.timing import called
from distillery.data.settings import Augmentation
from distillery.embeddings.settings import ViewOrder
from distillery.evaluation.computation import counts
from distillery.evaluation.student_steps import StudentSteps, steps_of
from distillery.methods import registry as methods
from distillery.training.settings import Compute, DistillationSettings, Training

PAIR = "resnet56→resnet20"
BASELINE = "ce"
ROUNDS = 11
_CPU = torch.device("cpu")
_KD_TEMPERATURE = 4.0


class Cost(NamedTuple):
    """A row of the table."""

    method: str
    parameters: int
    """Trained beside the student's own."""
    memory_mib: float
    """Peak memory of a step without that of a step with cross-entropy alone, in MiB."""
    step: float
    """Time of a step, in steps with cross-entropy alone."""
    teacher: float
    """The part of it that runs the teacher, or reads its outputs from the cache."""


def main() -> None:
    """Measure, and print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(Cost._fields)
    table.writerows(measured(methods.names(), ROUNDS))


def measured(names: list[str], rounds: int) -> list[Cost]:
    """Return what these methods cost."""
    baseline, steps = steps_with(BASELINE), {name: steps_with(name) for name in names}
    parts = {}
    for name, each in steps.items():
        parts[name, "plain"] = baseline.full
        parts[name, "step"] = each.full
        parts[name, "teacher"] = each.full.teach
    taken = called({" ".join(key): part for key, part in parts.items()}, rounds)
    held = counts(baseline)
    return [_cost(name, each, taken, held) for name, each in steps.items()]


def steps_with(name: str) -> StudentSteps:
    """Return the training step of the pair's student with a method."""
    kind = methods.load(name)
    teacher_arch, student_arch = made_up.PAIRS[PAIR]
    described = [made_up.described(arch) for arch in (student_arch, teacher_arch)]
    options = kind.Options()
    arch = kind.student_arch(options, *described)
    settings = DistillationSettings(
        arch=arch,
        seed=0,
        training=Training(batch_size=made_up.BATCH),
        compute=Compute(),
        augmentation=Augmentation(flip=True),
        views=ViewOrder(slots=1, seed=0),
        method=name,
        options=options.model_dump(mode="json"),
        weights=kind.weights,
        kd_temperature=_KD_TEMPERATURE if kind.weights.kd else None,
        ensemble=None,
        joint_temperature=None,
    )
    return steps_of(
        made_up.network(arch),
        settings,
        made_up.described(arch),
        [(described[1], made_up.network(teacher_arch).eval())] if kind.needs else [],
        torch.float16 if kind.trains_from_cache() else None,
        made_up.labels(),
        made_up.info(),
        _CPU,
    )


def _cost(
    name: str, steps: StudentSteps, taken: Mapping[str, np.ndarray], baseline: Mapping[str, float]
) -> Cost:
    found, plain = counts(steps), taken[f"{name} plain"]
    added = sum(each.numel() for each in steps.full.distiller.student.parameters())
    added -= made_up.described(made_up.PAIRS[PAIR][1]).parameters
    memory = found["step_memory_mb"] - baseline["student_memory_mb"]
    step, teacher = (
        round(float(np.median(taken[f"{name} {part}"] / plain)), 2) for part in ("step", "teacher")
    )
    return Cost(name, int(found["method_parameters"]) + added, round(memory, 1), step, teacher)


if __name__ == "__main__":
    main()
