"""Published numbers that an experiment repeats: CRD's tables 1 and 2 (Tian et al., ICLR 2020).

A number stands beside ours only where data set, networks, schedule and objective are the same. They
are in ``published.csv``, as the authors' code lists them (HobbitLong/RepDistiller, commit b84f547c,
README.md): accuracies of the last epoch on CIFAR-100, means over five runs (table 1) and three.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from distillery.data.settings import Augmentation, Source, Split
from distillery.experiment.experiment import Experiment
from distillery.planning.runs import Runs
from distillery.planning.students import Student
from distillery.reporting.settings import Published, PublishedNumber
from distillery.training.settings import Training

_SOURCE = "CRD (Tian et al. 2020)"
_DATA = "cifar100"
# Of CRD's protocol; everything else of it is the default of ``Training``.
_LOW_RATE = ("MobileNetV2", "ShuffleV1", "ShuffleV2")
_WORDS = {
    "epochs": "{} epochs",
    "batch_size": "batches of {}",
    "instances": "{} images of a class in a batch",
    "lr": "a learning rate of {}",
    "resolved_milestones": "milestones {}",
    "weight_decay": "a weight decay of {}",
}


def published(experiment: Experiment, runs: Runs, students: Iterable[Student]) -> Published:
    """Return the published numbers of students of the comparison, or what differs from all."""
    numbers, fewest = [], None
    for student in students:
        number = _number(experiment, student)
        differences = [*_differences(experiment, runs, student)]
        if number is not None and not differences and _is_default(student):
            numbers.append(number)
        elif fewest is None or len(differences) < len(fewest):
            fewest = differences
    if numbers:
        note = (
            f"Published numbers stand beside those pairs and methods that repeat them in data set, "
            f"networks, schedule and objective; they are of {_SOURCE}."
        )
    else:
        found = "; ".join(fewest or []) or "other pairs of networks, or methods set otherwise"
        note = f"No published number stands beside these, for this differs from {_SOURCE}: {found}."
    return Published(note=note, numbers=tuple(numbers))


def _number(experiment: Experiment, student: Student) -> PublishedNumber | None:
    """Return what was published for networks and method of a student, whatever its training."""
    teacher = experiment.teachers[student.teachers[0]].arch
    networks = (teacher, student.pair.student)
    found = _table().get((*networks, student.method_name))
    if found is None:
        return None
    table, top1 = found
    return PublishedNumber(
        pair=student.pair_id,
        method=student.entry_id,
        top1=top1,
        source=f"{_SOURCE}, {table}",
    )


def _differences(experiment: Experiment, runs: Runs, student: Student) -> Iterator[str]:
    """Yield in words how data and training of a student differ from CRD's."""
    data = experiment.data_sets[student.data]
    if data.source != _DATA:
        yield f"the data set is {data.source}, not {_DATA}"
    elif data.origin.model_dump(exclude={"path", "sha256", "streamed"}) != _plain():
        yield "the images are changed when they are prepared"
    if student.split != Split():
        yield "not all training images are used"
    if data.augmentation != Augmentation(pad=4, flip=True):
        yield "images are augmented in another way"
    rate = 0.01 if student.pair.student in _LOW_RATE else 0.05
    yield from _unlike(student.training, Training(lr=rate))
    for name in student.teachers:
        teacher = experiment.teachers[name]
        if teacher.checkpoint or [*_unlike(runs.teacher_training(name), Training())]:
            yield f"the teacher {name} has another schedule"
    if len(student.teachers) > 1:
        yield "several teachers teach"
    if student.pair.channels is not None:
        yield "the student sees some channels alone"


def _unlike(ours: Training, theirs: Training) -> Iterator[str]:
    """Yield in words how a schedule differs."""
    ignored = {"evaluate_every", "milestones"}
    rest = {*Training.model_fields} - ignored - {*_WORDS}
    for name, words in _WORDS.items():
        mine, published_one = getattr(ours, name), getattr(theirs, name)
        if mine != published_one:
            yield f"{words.format(_shown(mine))}, not {_shown(published_one)}"
    if any(getattr(ours, name) != getattr(theirs, name) for name in rest):
        yield "another optimiser or form of the schedule"


def _shown(value: Any) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, tuple) else str(value or 0)


def _plain() -> dict[str, Any]:
    return Source(source=_DATA).model_dump(exclude={"path", "sha256", "streamed"})


def _is_default(student: Student) -> bool:
    """Tell whether the objective is the method's own, with its published settings."""
    weights, options = student.method.weights, student.method.Options()
    return student.weights == weights and student.options == options


@cache
def _table() -> dict[tuple[str, str, str], tuple[str, float]]:
    """Return (teacher, student, method) -> table and accuracy; `ce` is that of each teacher."""
    text = files("distillery.planning").joinpath("published.csv").read_text(encoding="utf-8")
    rows = [*csv.DictReader(text.splitlines())]
    pairs = {(row["table"], row["teacher"], row["student"]) for row in rows if row["teacher"]}
    return {
        (teacher, row["student"], row["method"]): (row["table"].lower(), float(row["top1"]))
        for row in rows
        for table, teacher, student in sorted(pairs)
        if (table, student) == (row["table"], row["student"]) and row["teacher"] in ("", teacher)
    }
