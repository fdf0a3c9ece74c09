"""Published numbers that an experiment repeats: CRD's tables 1 and 2 (Tian et al., ICLR 2020).

A number stands beside ours only where data set, networks, schedule and objective are the same. They
are in ``published.csv``, as the authors' code lists them (HobbitLong/RepDistiller, commit b84f547c,
README.md): accuracies of the last epoch on CIFAR-100, means over five runs (table 1) and three.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from distillery.data.settings import Augmentation, Source, Split
from distillery.experiment.experiment import Experiment
from distillery.planning.runs import Runs
from distillery.planning.students import Student
from distillery.reporting.settings import PaperTable, Published, PublishedNumber
from distillery.training.settings import Training

_SOURCE = "CRD (Tian et al. 2020)"
DATA = "cifar100"
# Of CRD's protocol; everything else of it is the default of ``Training``.
_LOW_RATE = ("MobileNetV2", "ShuffleV1", "ShuffleV2")
# Works without any published number to stand beside ours, by method.
_UNPUBLISHED = {
    "aecrd": "No published number of AECRD exists to compare with: its text is not public.",
    "rtk": "No published number of RTK was at hand to compare with.",
}
_WORDS = {
    "epochs": "{} epochs",
    "batch_size": "batches of {}",
    "instances": "{} images of a class in a batch",
    "lr": "a learning rate of {}",
    "resolved_milestones": "milestones {}",
    "weight_decay": "a weight decay of {}",
}


def published(
    experiment: Experiment,
    runs: Runs,
    students: Sequence[Student],
    tables: tuple[PaperTable, ...] = (),
) -> Published:
    """Return the published numbers of students of the comparison, or what differs from all.

    Args:
        experiment: the experiment.
        runs: those that it needs.
        students: the students of the comparison.
        tables: tables of papers that it repeats a part of.
    """
    numbers, fewest = [], None
    for student in students:
        number = _number(experiment, student)
        training = Training(lr=rate_of(student.pair.student))
        found = [*differences(experiment, runs, student, training)]
        if number is not None and not found and is_default(student):
            numbers.append(number)
        elif fewest is None or len(found) < len(fewest):
            fewest = found
    if numbers:
        note = (
            f"Published numbers stand beside those pairs and methods that repeat them in data set, "
            f"networks, schedule and objective; they are of {_SOURCE}."
        )
    else:
        said = "; ".join(fewest or []) or "other pairs of networks, or methods set otherwise"
        note = f"No published number stands beside these, for this differs from {_SOURCE}: {said}."
    used = {student.method_name for student in students}
    absent = [sentence for method, sentence in _UNPUBLISHED.items() if method in used]
    return Published(note=" ".join([note, *absent]), numbers=tuple(numbers), tables=tables)


def _number(experiment: Experiment, student: Student) -> PublishedNumber | None:
    """Return what was published for networks and method of a student, whatever its training."""
    teacher = experiment.teachers[student.teachers[0]].arch
    networks = (teacher, student.pair.student)
    found = table().get((*networks, student.method_name))
    if found is None:
        return None
    name, top1 = found
    return PublishedNumber(
        pair=student.pair_id,
        method=student.entry_id,
        top1=top1,
        source=f"{_SOURCE}, {name}",
    )


def rate_of(student: str) -> float:
    """Return the learning rate of CRD's protocol for an architecture."""
    return 0.01 if student in _LOW_RATE else 0.05


def differences(
    experiment: Experiment, runs: Runs, student: Student, training: Training | None
) -> Iterator[str]:
    """Yield in words how data and training of a student differ from CRD's.

    Args:
        experiment: the experiment.
        runs: those that it needs.
        student: the student.
        training: what its training should be; None where only its teacher's matters.
    """
    data = experiment.data_sets[student.data]
    if data.source != DATA:
        yield f"the data set is {data.source}, not {DATA}"
    elif data.origin.model_dump(exclude={"path", "sha256", "streamed"}) != _plain():
        yield "the images are changed when they are prepared"
    if student.split != Split():
        yield "not all training images are used"
    if data.augmentation != Augmentation(pad=4, flip=True):
        yield "images are augmented in another way"
    if training is not None:
        yield from _unlike(student.training, training)
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
    return Source(source=DATA).model_dump(exclude={"path", "sha256", "streamed"})


def is_default(student: Student, **varied: Any) -> bool:
    """Tell whether the objective has the method's published settings, but for ``varied``."""
    weights, options = student.method.weights, student.method.Options(**varied)
    return student.weights == weights and student.options == options


@cache
def table() -> dict[tuple[str, str, str], tuple[str, float]]:
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
