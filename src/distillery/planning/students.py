"""Resolves students: what a method entry becomes for one pair and one variant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel
from distillery.data.settings import Split
from distillery.experiment.params import (
    Experiment,
    MethodEntry,
    MethodOverride,
    Pair,
    ParamsError,
    method_options,
)
from distillery.methods import registry as methods
from distillery.methods.base import Method, Weights
from distillery.planning.data_sets import DataSets
from distillery.planning.merging import Place, deep_merged, last_given, merged
from distillery.planning.variants import Variant
from distillery.training.settings import Combination, Training

_KD_TEMPERATURE = 4.0


@dataclass(frozen=True)
class Student:
    """A resolved student before seeds: what a row of the grid trains.

    Attributes:
        pair_id, entry_id: ids of its pair and of its method entry.
        pair: the pair.
        teachers: ids of the teachers that teach it.
        data: id of their data set; None for the experiment's own.
        entry: the method entry with its method, temperature and combination resolved.
        method: class of the method.
        options: hyperparameters of the method.
        weights: weights of the objective.
        training: how it is trained.
        split: what of the data it is trained on.
    """

    pair_id: str
    entry_id: str
    pair: Pair
    teachers: tuple[str, ...]
    data: str | None
    entry: MethodEntry
    method: type[Method]
    options: FrozenModel
    weights: Weights
    training: Training
    split: Split

    @property
    def title(self) -> str:
        """What tables call the student."""
        named = f"{self.method.title} + KD" if self.uses_kd else self.method.title
        return self.entry.title or named

    @property
    def method_modules(self) -> tuple[str, ...]:
        """Modules of the method and of the additional KD term."""
        names = [str(self.entry.method), *(["kd"] if self.uses_kd else [])]
        return tuple(methods.module_of(name) for name in names)

    @property
    def uses_kd(self) -> bool:
        """Whether the objective has an additional KD term."""
        return self.weights.kd > 0

    @property
    def trains_classifier(self) -> bool:
        """Whether any term of the loss depends on the student's logits."""
        by_method = self.weights.method > 0 and "logits" in self.method.needs
        return self.weights.ce > 0 or self.uses_kd or by_method

    @property
    def uses_teacher(self) -> bool:
        """Whether anything of a teacher is needed."""
        return self.uses_kd or bool(self.method.needs) or self.method.n_views > 1

    @property
    def is_cached(self) -> bool:
        """Whether teachers are read from the cache, not run along."""
        return self.uses_teacher and self.method.trains_from_cache()

    @property
    def joint_temperature(self) -> float | None:
        """Temperature at which the probabilities of teachers that teach jointly are averaged.

        That of the loss that compares them: of the method if it is one of logits, else of KD.
        """
        if self.combination != "joint":
            return None
        of_logits = self.method.needs == frozenset({"logits"})
        own: float | None = getattr(self.options, "temperature", None) if of_logits else None
        return own or self.entry.kd_temperature

    @property
    def combination(self) -> Combination | None:
        """How several teachers teach; None unless there are several."""
        several = len(self.teachers) > 1 and self.uses_teacher
        return (self.entry.ensemble or "mean") if several else None


def resolve(
    experiment: Experiment, pair_id: str, entry_id: str, variant: Variant | None = None
) -> Student:
    """Resolve a student: method entry, then the pair's override, then the variant's.

    Args:
        experiment: the experiment.
        pair_id: id of the pair.
        entry_id: id of the method entry.
        variant: what differs in an ablation; None in the comparison.

    Raises:
        ParamsError: the settings do not fit together, or the networks do not fit the method.
    """
    data_sets = DataSets(experiment)
    pair, entry = experiment.pairs[pair_id], experiment.methods[entry_id]
    in_pair = pair.methods.get(entry_id)
    layers = [entry, in_pair or MethodOverride(), *([variant.override] if variant else [])]
    place = _place(pair_id, entry_id, in_pair, variant)
    name = entry.method or entry_id
    method = methods.load(name)
    options: dict[str, Any] = {}
    for layer in layers:
        options = deep_merged(options, layer.options)
    teachers = _teachers(pair_id, pair, last_given(layer.teachers for layer in layers), place)
    data = _common_data(experiment, teachers, ("pairs", pair_id, "teacher"))
    student = Student(
        pair_id=pair_id,
        entry_id=entry_id,
        pair=pair,
        teachers=teachers,
        data=data,
        entry=entry.model_copy(
            update={
                "method": name,
                "kd_temperature": last_given(layer.kd_temperature for layer in layers)
                or _KD_TEMPERATURE,
                "ensemble": last_given(layer.ensemble for layer in layers),
            }
        ),
        method=method,
        options=method_options(name, options, (*place, "options")),
        weights=merged(method.weights, [layer.weights for layer in layers], (*place, "weights")),
        training=data_sets.training(
            data, [pair.training, *(layer.training for layer in layers)], (*place, "training")
        ),
        split=data_sets.split(data, [layer.split for layer in layers], (*place, "split")),
    )
    _check(experiment, data_sets, student, place if variant else ("pairs", pair_id))
    return student


def _place(
    pair_id: str, entry_id: str, in_pair: MethodOverride | None, variant: Variant | None
) -> Place:
    """Return where the params file has the last of the settings."""
    if variant:
        return variant.place
    if in_pair:
        return ("pairs", pair_id, "methods", entry_id)
    return ("methods", entry_id)


def _teachers(pair_id: str, pair: Pair, count: int | None, place: Place) -> tuple[str, ...]:
    """Return the first ``count`` teachers of a pair; None for all."""
    known = len(pair.teachers)
    if count and count > known:
        raise ParamsError(
            (*place, "teachers"),
            f"found {count}; pair '{pair_id}' has {known} (allowed: 1 to {known})",
        )
    return pair.teachers[:count]


def _common_data(experiment: Experiment, teachers: tuple[str, ...], place: Place) -> str | None:
    first, *others = (experiment.teachers[name].data for name in teachers)
    if any(other != first for other in others):
        raise ParamsError(place, "the teachers of an ensemble need one data set in common")
    return first


def _check(experiment: Experiment, data_sets: DataSets, student: Student, place: Place) -> None:
    """Check that the method can teach this student with these teachers."""
    if not student.uses_teacher:
        return
    teachers = [experiment.teachers[name] for name in student.teachers]
    sees = student.pair.channels
    if not student.is_cached:
        why = f"'{student.entry.method}' runs the teacher live, which"
        if student.combination == "joint":
            raise ParamsError(place, f"{why} leaves no joint embedding (allowed: mean, sum)")
        if any(teacher.channels != sees for teacher in teachers):
            raise ParamsError(place, f"{why} then has to see the student's channels")
    at, kd_at = student.joint_temperature, student.entry.kd_temperature
    if student.uses_kd and at and at != kd_at:
        raise ParamsError(
            place,
            f"the teachers' joint probabilities are those at one temperature, but that of "
            f"'{student.entry.method}' is {at:g} and kd_temperature {kd_at:g}; set both alike",
        )
    student_spec = data_sets.spec(student.pair.student, student.data, sees)
    specs = [data_sets.spec(each.arch, student.data, each.channels) for each in teachers]
    if student.combination == "joint":
        dim = sum(spec.embedding_dim for spec in specs)
        specs = [replace(specs[0], embedding_dim=dim)]
    for spec in specs:
        try:
            student.method.check(student.options, student_spec, spec)
        except UserError as error:
            raise ParamsError(place, str(error)) from None
