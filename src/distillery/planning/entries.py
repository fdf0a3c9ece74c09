"""What the report says of each method entry: its objective, and what differs from the published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from distillery.core.flattening import flattened
from distillery.experiment.experiment import Experiment
from distillery.methods.kd import KD
from distillery.planning.students import Student
from distillery.reporting.settings import EntrySettings
from distillery.training.settings import Training


def entry_settings(experiment: Experiment, students: Iterable[Student]) -> dict[str, EntrySettings]:
    """Return the entries of the comparison by id.

    Args:
        experiment: the experiment.
        students: those of the comparison. What differs in one pair alone has the pair's id before
            its name.
    """
    found: dict[str, list[Student]] = {}
    for student in students:
        found.setdefault(student.entry_id, []).append(student)
    return {entry: _entry(experiment, of_entry) for entry, of_entry in found.items()}


def _entry(experiment: Experiment, students: list[Student]) -> EntrySettings:
    first = students[0]
    differing = {each.pair_id: dict(_differing(experiment, each)) for each in students}
    common = {
        name: value
        for name, value in differing[first.pair_id].items()
        if all(name in other and other[name] == value for other in differing.values())
    }
    own = {
        f"{pair}: {name}": value
        for pair, values in differing.items()
        for name, value in values.items()
        if name not in common
    }
    return EntrySettings(
        title=first.title,
        method=first.method_name,
        source=first.method.source,
        weights=first.weights.model_dump(),
        differs=common | own,
    )


def _differing(experiment: Experiment, student: Student) -> Iterator[tuple[str, Any]]:
    """Yield what of a student is not its method's default, or not the experiment's training."""
    method = student.method
    yield from _unlike("weights", student.weights, method.weights)
    if student.uses_kd and student.kd_temperature != KD.Options().temperature:
        yield "kd_temperature", student.kd_temperature
    yield from _unlike("options", student.options, method.Options())
    if student.combination:
        yield "ensemble", student.combination
    yield from _unlike("training", student.training, _usual_training(experiment, student))


def _usual_training(experiment: Experiment, student: Student) -> Training:
    own = experiment.data_sets[student.data].training.model_dump(exclude_none=True)
    return experiment.training.model_copy(update=own)


def _unlike(prefix: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any]]:
    mine, usual = (flattened(each.model_dump(mode="json"), f"{prefix}.") for each in (ours, theirs))
    return ((name, value) for name, value in mine.items() if usual.get(name) != value)
