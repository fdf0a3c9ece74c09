"""Refuses settings that change nothing where they are given: whoever gives one expects it to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from distillery.core.conditions import why_idle as why_idle_in
from distillery.core.flattening import flattened
from distillery.data.settings import Split
from distillery.experiment.errors import KeyPath, ParamsError, path_of_data
from distillery.experiment.experiment import Experiment
from distillery.experiment.methods import MethodOverride
from distillery.experiment.teachers import Teacher
from distillery.methods.base import Method
from distillery.planning.runs import Runs
from distillery.planning.students import Student
from distillery.training.settings import Training


def check(experiment: Experiment, runs: Runs, students: Sequence[Student]) -> None:
    """Demand that every setting of a params file changes something.

    Args:
        experiment: the params file.
        runs: all that it plans.
        students: all that are planned, also those of ablations and studies.

    Raises:
        ParamsError: the first setting that changes nothing.
    """
    for path, name, why in _idle(experiment, runs, students):
        raise ParamsError((*path, *name.split(".")) if name else path, f"has no effect: {why}")


def require_effect(given: MethodOverride, path: KeyPath, students: Sequence[Student]) -> None:
    """Demand that everything that is set changes at least one of these students.

    Args:
        given: settings of a method entry, or what differs from them.
        path: where the params file has them.
        students: those that they apply to, complete.

    Raises:
        ParamsError: one of the settings changes none.
    """
    for name, value in flattened(given.model_dump(exclude_unset=True)).items():
        if value != {}:
            require_effect_of(name, path, students)


def require_effect_of(name: str, path: KeyPath, students: Sequence[Student]) -> None:
    """Demand that a setting of a method entry, by its dotted name, changes one of the students.

    Raises:
        ParamsError: it changes none.
    """
    reasons = [why_idle(student, name) for student in students]
    if reasons and all(reasons):
        raise ParamsError((*path, *name.split(".")), f"has no effect: {reasons[0]}")


def why_idle(student: Student, name: str) -> str:
    """Return why a setting of a method entry, by its dotted name, changes nothing; or nothing."""
    group, _, rest = name.partition(".")
    match group:
        case "kd_temperature":
            return _of_temperature(student)
        case "weights":
            return _of_weights(student, rest)
        case "options":
            return _of_options(student, rest)
        case "training":
            return why_idle_in_training(student.training, rest)
        case "split":
            return why_idle_in_split(student.split, rest)
        case "teachers" if not student.uses_teacher:
            return f"'{student.method_name}' uses no teacher"
        case "ensemble" if not student.combination:
            return "one teacher teaches" if student.uses_teacher else "no teacher teaches"
    return ""


def why_idle_in_training(training: Training, name: str) -> str:
    """Return why a setting of the training changes nothing; or nothing."""
    if name in ("milestones", "gamma") and training.schedule != "steps":
        return f"it counts only with schedule: steps, not {training.schedule}"
    if name == "gamma" and not training.resolved_milestones:
        return "there are no milestones"
    return ""


def why_idle_in_split(split: Split, name: str) -> str:
    """Return why a setting of a split changes nothing; or nothing."""
    is_whole = split.per_class is None and split.fraction == 1 and not split.validation_fraction
    return (
        "all images are trained on, so that nothing is drawn" if name == "seed" and is_whole else ""
    )


def _of_temperature(student: Student) -> str:
    averages = student.combination == "joint" and "logits" in student.method.needs
    if student.uses_kd or (averages and student.joint_temperature == student.kd_temperature):
        return ""
    own = " (its own is options.temperature)" if hasattr(student.options, "temperature") else ""
    return f"there is no additional KD term, weights.kd being 0{own}"


def _of_weights(student: Student, name: str) -> str:
    # Of methods that end before the distillation proper, and of the baseline.
    if name == "method" and student.method.weights.method == 0:
        return f"'{student.method_name}' has no term of its own in the distillation"
    return ""


def _of_options(student: Student, name: str) -> str:
    method = student.method
    has_stage = method.pretraining is not Method.pretraining
    if method.weights.method and not student.weights.method and not has_stage:
        return "weights.method is 0"
    return why_idle_in(student.options, name)


Idle = Iterator[tuple[KeyPath, str, str]]
"""Where a section is, the dotted name of a setting in it, and why that changes nothing."""


def _idle(experiment: Experiment, runs: Runs, students: Sequence[Student]) -> Idle:
    yield from _in_training_and_data(experiment, runs, students)
    for name in experiment.compute.model_fields_set:
        if why := why_idle_in(experiment.compute, name):
            yield ("compute",), name, why
    for id_, teacher in experiment.teachers.items():
        yield from _in_teacher(runs, id_, teacher)
    yield from _in_methods(experiment, students)
    yield from _in_pairs(experiment, students)
    stages = {run.stage for run in runs.planned.values()}
    if "precision" in experiment.embeddings.model_fields_set and "embed" not in stages:
        yield ("embeddings",), "precision", "no method of the experiment trains from the cache"
    yield from _in_tuning(experiment)


def _in_training_and_data(experiment: Experiment, runs: Runs, students: Sequence[Student]) -> Idle:
    overrides = [
        *(each.training for each in experiment.data_sets.values()),
        *(each.training for each in experiment.teachers.values()),
        *(each.training for each in experiment.pairs.values()),
        *(each.training for each in experiment.methods.values()),
    ]
    if not any(each.schedule for each in overrides) and not experiment.ablations:
        for name in experiment.training.model_fields_set:
            if why := why_idle_in_training(experiment.training, name):
                yield ("training",), name, why
    for id_, data in experiment.data_sets.items():
        path = path_of_data(id_)
        # Studies and trials draw from it, too.
        splits = [data.split, *(student.split for student in students if student.data == id_)]
        for name in data.split.model_fields_set if not experiment.tuning else ():
            reasons = [why_idle_in_split(split, name) for split in splits]
            if all(reasons):
                yield (*path, "split"), name, reasons[0]
        training = runs.data_sets.training(id_, [], (*path, "training"))
        for name in data.training.model_fields_set:
            if why := why_idle_in_training(training, name):
                yield (*path, "training"), name, why
    shown: set[object] = {teacher.data_set for teacher in experiment.teachers.values()}
    shown |= {entry.options.get("data") for entry in experiment.protocols.values()}
    for id_ in experiment.datasets:
        if id_ not in shown:
            yield ("datasets", id_), "", "no teacher and no protocol names it"


def _in_teacher(runs: Runs, id_: str, teacher: Teacher) -> Idle:
    path: KeyPath = ("teachers", id_)
    if teacher.checkpoint:
        for name in ("training", "split", "seed"):
            if name in teacher.model_fields_set:
                yield path, name, "the teacher is imported, and not trained here"
        return
    training = runs.teacher_training(id_)
    for name in teacher.training.model_fields_set:
        if why := why_idle_in_training(training, name):
            yield (*path, "training"), name, why


def _in_methods(experiment: Experiment, students: Sequence[Student]) -> Idle:
    for id_, entry in experiment.methods.items():
        concerned = [student for student in students if student.entry_id == id_]
        if not concerned:
            yield ("methods", id_), "", "no pair, ablation or study runs it"
        require_effect(entry, ("methods", id_), concerned)


def _in_pairs(experiment: Experiment, students: Sequence[Student]) -> Idle:
    for id_, pair in experiment.pairs.items():
        of_pair = [student for student in students if student.pair_id == id_]
        for entry, override in pair.methods.items():
            path = ("pairs", id_, "methods", entry)
            concerned = [student for student in of_pair if student.entry_id == entry]
            if not concerned:
                yield path, "", "it is not run for this pair"
            require_effect(override, path, concerned)
        for entry in pair.without:
            if pair.only is not None and entry not in pair.only:
                yield ("pairs", id_), "without", f"'{entry}' is not among only"


def _in_tuning(experiment: Experiment) -> Idle:
    tuning = experiment.tuning
    if tuning is None:
        return
    listed = [search for search in tuning.methods.values() if isinstance(search.vary, list)]
    own = [search for search in tuning.methods.values() if search.trials or search in listed]
    if tuning.trials and len(own) == len(tuning.methods):
        yield ("tuning",), "trials", "every entry has its own"
    draws = tuning.trials or any(search.trials for search in tuning.methods.values())
    if "seed" in tuning.model_fields_set and not draws:
        yield ("tuning",), "seed", "nothing is drawn without trials"
