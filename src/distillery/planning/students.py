"""Resolves students: what a method entry becomes for one pair and one variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel
from distillery.data.settings import Split
from distillery.experiment.checks import method_options
from distillery.experiment.errors import KeyPath, ParamsError
from distillery.experiment.experiment import Experiment
from distillery.experiment.methods import MethodEntry, MethodOverride
from distillery.experiment.overrides import SplitOverride
from distillery.experiment.pairs import Pair
from distillery.methods import registry as methods
from distillery.methods.base import Method, Weights
from distillery.methods.kd import KD
from distillery.models.base import ModelSpec
from distillery.planning.data_sets import DataSets
from distillery.planning.merging import deep_merged, last_given, merged
from distillery.planning.variants import Variant
from distillery.training.settings import Combination, Training

if TYPE_CHECKING:
    from distillery.runs.run import Run


@dataclass(frozen=True)
class Student:
    """A resolved student before seeds: what a row of the grid trains.

    Attributes:
        pair_id, entry_id: ids of its pair and of its method entry.
        pair: the pair.
        teachers: ids of the teachers that teach it.
        data: id of their data set.
        entry: the method entry.
        method_name: name of the method.
        method: its class.
        options: its hyperparameters.
        weights: weights of the objective.
        kd_temperature: temperature of the additional KD term, if there is one.
        ensemble: how several teachers teach, as far as the params file says.
        training: how it is trained.
        split: what of the data it is trained on.
        arch: architecture that is trained: that of the pair, unless the method adds to it.
        split_of_teachers: what differs in the split of its teachers.
        varied: what differs from the method entry, for its name: dotted name -> value.
    """

    pair_id: str
    entry_id: str
    pair: Pair
    teachers: tuple[str, ...]
    data: str
    entry: MethodEntry
    method_name: str
    method: type[Method]
    options: FrozenModel
    weights: Weights
    kd_temperature: float
    ensemble: Combination | None
    training: Training
    split: Split
    arch: str
    split_of_teachers: SplitOverride = field(default_factory=SplitOverride)
    varied: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What tables call the student."""
        named = f"{self.method.title} + KD" if self.uses_kd else self.method.title
        return self.entry.title or named

    @cached_property
    def method_modules(self) -> tuple[str, ...]:
        """Modules of the method and of the additional KD term."""
        names = [self.method_name, *(["kd"] if self.uses_kd else [])]
        return tuple(methods.module_of(name) for name in names)

    @property
    def uses_kd(self) -> bool:
        """Whether the objective has an additional KD term."""
        return self.weights.kd > 0

    @property
    def trains_classifier(self) -> bool:
        """Whether any term of the loss depends on the student's logits, or makes them good.

        What a method adds to the student ends in a classifier that is trained already.
        """
        by_method = self.weights.method > 0 and "logits" in self.method.needs
        return self.weights.ce > 0 or self.uses_kd or by_method or self.arch != self.pair.student

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
        return own or self.kd_temperature

    @property
    def combination(self) -> Combination | None:
        """How several teachers teach; None unless there are several."""
        several = len(self.teachers) > 1 and self.uses_teacher
        return (self.ensemble or "mean") if several else None


class Choice(NamedTuple):
    """What a student with tuned settings may become.

    Attributes:
        made_by: the run that selects one.
        among: the students that it selects from, in the order of its trials.
    """

    made_by: Run
    among: tuple[Student, ...]


def resolve(
    experiment: Experiment,
    data_sets: DataSets,
    pair_id: str,
    entry_id: str,
    *variants: Variant,
) -> Student:
    """Resolve a student: method entry, then the pair's override, then those of the variants.

    Args:
        experiment: the experiment.
        data_sets: its data sets.
        pair_id: id of the pair.
        entry_id: id of the method entry.
        variants: what differs in an ablation or a tuning, the strongest last; none in the
            comparison.

    It is a ``ParamsError`` if the settings do not fit together, or the networks not the method.
    """
    pair, entry = experiment.pairs[pair_id], experiment.methods[entry_id]
    in_pair = pair.methods.get(entry_id)
    layers = [entry, in_pair or MethodOverride(), *(each.override for each in variants)]
    path = _path(pair_id, entry_id, in_pair, variants)
    name = entry.method or entry_id
    method = methods.load(name)
    places = [("methods", entry_id), ("pairs", pair_id, "methods", entry_id)]
    options: dict[str, Any] = {}
    given: dict[str, KeyPath] = {}
    for layer, place in zip(layers, [*places, *(each.path for each in variants)], strict=True):
        options = deep_merged(options, layer.options)
        given |= dict.fromkeys(layer.options, (*place, "options"))
    teachers = _teachers(pair_id, pair, last_given(layer.teachers for layer in layers), path)
    data = _common_data(experiment, teachers, ("pairs", pair_id, "teacher"))
    kd_temperature = last_given(layer.kd_temperature for layer in layers)
    student = Student(
        pair_id=pair_id,
        entry_id=entry_id,
        pair=pair,
        teachers=teachers,
        data=data,
        entry=entry,
        method_name=name,
        method=method,
        options=method_options(name, options, (*path, "options")),
        weights=merged(method.weights, [layer.weights for layer in layers], (*path, "weights")),
        kd_temperature=kd_temperature or KD.Options().temperature,
        ensemble=last_given(layer.ensemble for layer in layers),
        training=data_sets.training(
            data, [pair.training, *(layer.training for layer in layers)], (*path, "training")
        ),
        split=data_sets.split(data, [layer.split for layer in layers], (*path, "split")),
        arch=pair.student,
        varied={axis: value for each in variants for axis, value in each.settings.items()},
    )
    student = _fitted(data_sets, student, given)
    of_entry = any(layer.training.instances for layer in layers)
    at: KeyPath = path if of_entry else ("pairs", pair_id) if pair.training.instances else ()
    processes = experiment.compute.processes
    data_sets.check_batches(data, student.split, student.training, processes, (*at, "training"))
    arch = _checked_arch(experiment, data_sets, student, path if variants else ("pairs", pair_id))
    return replace(student, arch=arch)


def _fitted(data_sets: DataSets, student: Student, given: Mapping[str, KeyPath]) -> Student:
    """Return a student whose options its training images allow; for ``given`` see ``DataSets``."""
    counts = data_sets.trained_on(student.data, student.split)
    if counts is None:
        return student
    limits = student.method.limits(student.options, counts)
    path = ("methods", student.entry_id, "options")
    return replace(student, options=data_sets.fitted(student.options, given, limits, path))


def _path(
    pair_id: str, entry_id: str, in_pair: MethodOverride | None, variants: Sequence[Variant]
) -> KeyPath:
    """Return where the params file has the last of the settings."""
    if variants:
        return variants[-1].path
    if in_pair:
        return ("pairs", pair_id, "methods", entry_id)
    return ("methods", entry_id)


def _teachers(pair_id: str, pair: Pair, count: int | None, path: KeyPath) -> tuple[str, ...]:
    known = len(pair.teachers)
    if count and count > known:
        raise ParamsError(
            (*path, "teachers"),
            f"found {count}; pair '{pair_id}' has {known} (allowed: 1 to {known})",
        )
    return pair.teachers[:count]


def _common_data(experiment: Experiment, teachers: tuple[str, ...], path: KeyPath) -> str:
    first, *others = (experiment.teachers[name].data_set for name in teachers)
    if any(other != first for other in others):
        raise ParamsError(path, "the teachers of an ensemble need one data set in common")
    return first


def _checked_arch(
    experiment: Experiment, data_sets: DataSets, student: Student, path: KeyPath
) -> str:
    """Check that the method can teach this student, and return which architecture is trained.

    Raises:
        ParamsError: it cannot.
    """
    if not student.uses_teacher:
        return student.arch
    teachers = [experiment.teachers[name] for name in student.teachers]
    sees = student.pair.channels
    if not student.is_cached:
        why = f"'{student.method_name}' runs the teacher live, which"
        if student.combination == "joint":
            raise ParamsError(path, f"{why} leaves no joint embedding (allowed: mean, sum)")
        if any(teacher.channels != sees for teacher in teachers):
            raise ParamsError(path, f"{why} then has to see the student's channels")
    at, kd_at = student.joint_temperature, student.kd_temperature
    if student.uses_kd and at and at != kd_at:
        raise ParamsError(
            path,
            f"the teachers' joint probabilities are those at one temperature, but that of "
            f"'{student.method_name}' is {at:g} and kd_temperature {kd_at:g}; set both alike",
        )
    if student.combination == "joint" and "classifier" in student.method.needs:
        why = f"'{student.method_name}' needs a teacher's classifier, which a joint one lacks"
        raise ParamsError(path, f"{why} (allowed: mean, sum)")
    student_spec = data_sets.spec(student.pair.student, student.data, sees)
    specs = [data_sets.spec(each.arch, student.data, each.channels) for each in teachers]
    if student.combination == "joint":
        dim = sum(spec.embedding_dim for spec in specs)
        specs = [replace(specs[0], embedding_dim=dim)]
    _require_supplied(student, student_spec, specs, path)
    for spec in specs:
        try:
            student.method.check(student.options, student_spec, spec)
        except UserError as error:
            raise ParamsError(path, str(error)) from None
    archs = {student.method.student_arch(student.options, student_spec, spec) for spec in specs}
    if archs != {student.arch} and len(specs) > 1:
        raise ParamsError(path, f"'{student.method_name}' takes its head from one teacher alone")
    return archs.pop()


_CALLED = {
    "features": "feature maps of stages",
    "preactivations": "maps before their ReLU, behind a BatchNorm",
    "blocks": "outputs of all blocks",
    "last_map": "a last map whose mean is the embedding",
    "class_maps": "class activation maps, of a last map whose mean is the embedding",
}


def _require_supplied(
    student: Student, spec: ModelSpec, teachers: Sequence[ModelSpec], path: KeyPath
) -> None:
    """Check that the networks have what the method needs of them.

    Raises:
        ParamsError: one lacks something.
    """
    method = student.method
    roles = [("student", spec, method.needs | method.student_needs)]
    roles += [("teacher", teacher, method.needs) for teacher in teachers]
    for role, network, needs in roles:
        for need in sorted(needs - network.supplies):
            raise ParamsError(
                path,
                f"'{student.method_name}' needs {_CALLED.get(need, need)}, which {role} "
                f"{network.arch} does not give; choose another network or another method",
            )
