"""The runs of data, teachers, embeddings and students: settings, inputs and code of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from distillery.data import registry as sources
from distillery.data import split as splitting
from distillery.embeddings import embed
from distillery.embeddings.settings import ViewOrder
from distillery.experiment.errors import ParamsError, path_of_data
from distillery.experiment.experiment import Experiment
from distillery.experiment.overrides import SplitOverride
from distillery.experiment.teachers import Checkpoint, Teacher
from distillery.models import registry as models
from distillery.models.naming import source_of
from distillery.planning import names
from distillery.planning.data_sets import DataSets
from distillery.planning.memory import remembered
from distillery.planning.merging import merged
from distillery.planning.students import Choice, Student
from distillery.runs.fingerprint import fingerprint
from distillery.runs.run import Run
from distillery.runs.stages import STAGES
from distillery.training import imported
from distillery.training import teacher as trained
from distillery.training.selected import SELECTED_BY
from distillery.training.settings import DistillationSettings, Training

# Images that a student is shown in a training of at most a minute or so on a CPU.
_SHORT = 100_000
_AS_IT_IS = SplitOverride()


@cache
def fingerprint_of(modules: frozenset[str]) -> str:
    """Return the fingerprint of these modules' code, computed once."""
    return fingerprint(modules)


def planned_run(
    stage: str,
    slug: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Run],
    modules: tuple[str, ...] = (),
) -> Run:
    """Return a run of a stage.

    Args:
        stage: name of the stage.
        slug: readable name.
        settings: everything that decides the result: the plain values of the stage's ``Settings``.
        inputs: name -> run that is read.
        modules: what computes the run beside the stage's own module.
    """
    return Run(
        stage=stage,
        folder=STAGES[stage].folder,
        slug=slug,
        settings=settings,
        inputs={name: source.location for name, source in inputs.items()},
        code=fingerprint_of(frozenset({STAGES[stage].module, *modules})),
        preloads=modules,
    )


def imported_run(name: str, prepared: Run, settings: imported.Settings) -> Run:
    """Return the run that imports a checkpoint, called by ``name``, for a prepared data set."""
    return planned_run(
        "import-teacher",
        names.joined(prepared.slug, names.of_network(name, settings.arch), "imported"),
        settings.model_dump(mode="json"),
        {"prepared": prepared},
        (models.module_of(settings.arch),),
    )


class Runs:
    """The runs that an experiment needs: every method adds one, with all that it reads.

    Attributes:
        planned: location -> run, inputs before what reads them. A run that several parts of the
            experiment want is called as the first of them calls it.
        data_sets: the experiment's data sets.
    """

    def __init__(self, experiment: Experiment, data_sets: DataSets) -> None:
        self.planned: dict[str, Run] = {}
        self._by_key: dict[str, Run] = {}
        self.data_sets = data_sets
        self._experiment = experiment

    def add(
        self,
        stage: str,
        slug: str,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Run],
        modules: tuple[str, ...] = (),
        *,
        outside: Mapping[str, str] | None = None,
        preloads: tuple[str, ...] | None = None,
        gpu: bool | None = None,
        exclusive: bool = False,
        spreads: bool = False,
        is_short: bool = False,
    ) -> Run:
        """Add a run unless it is there, and return it; for most arguments see ``planned_run``.

        ``outside`` says where files are that it reads beside its inputs, ``preloads`` are those of
        ``modules`` that it needs to import (None: all), ``gpu`` tells whether it computes on an
        accelerator (None: as the stage says), ``exclusive`` whether it measures time, so that
        nothing may run beside it, ``spreads`` whether it uses as many cores as it gets, and
        ``is_short`` whether a job computes several of them.
        """
        run = planned_run(stage, slug, settings, inputs, modules)
        run = replace(
            run,
            outside=outside or {},
            gpu=gpu,
            exclusive=exclusive,
            spreads=spreads,
            is_short=is_short,
        )
        return self._added(run if preloads is None else replace(run, preloads=preloads))

    @remembered
    def prepared(self, data: str) -> Run:
        """Return the run that prepares a data set."""
        settings = self.data_sets.prepared(data)
        modules = (sources.module_of(settings.source),)
        return self.add(
            "prepare",
            self._name_of_data(data),
            settings.model_dump(mode="json"),
            {},
            modules,
            outside=self.data_sets.settings(data).outside,
            spreads=settings.facts.decoded,
        )

    @remembered
    def teacher(self, name: str, split: SplitOverride = _AS_IT_IS) -> Run:
        """Return the run that trains or imports a teacher; wrong settings are a ``ParamsError``.

        Args:
            name: id of the teacher.
            split: what differs in the split of its data, if it is trained.
        """
        teacher = self._experiment.teachers[name]
        if teacher.checkpoint:
            return self._imported(name, teacher, teacher.checkpoint)
        return self._trained(name, teacher, split)

    @remembered
    def teacher_training(self, name: str) -> Training:
        """Return how a teacher is trained that is not imported."""
        teacher, path = self._experiment.teachers[name], ("teachers", name, "training")
        return self.data_sets.training(teacher.data_set, [teacher.training], path)

    def student(self, student: Student, seed: int, choice: Choice | None = None) -> Run:
        """Return the run that trains a student; too many slots are a ``ParamsError``.

        Args:
            student: the student.
            seed: its seed.
            choice: what it may become, if its settings are tuned.
        """
        settings, inputs, modules = self._distillation(student, seed)
        candidates = []
        for candidate in choice.among if choice else ():
            values, *reads = self._distillation(candidate, seed)
            _require_same(candidate.entry_id, reads, [inputs, modules])
            candidates.append({n: value for n, value in values.items() if value != settings[n]})
        # An ablation of all that is tuned leaves nothing to be selected.
        settings["candidates"] = candidates if any(candidates) else []
        if choice and settings["candidates"]:
            inputs = {**inputs, SELECTED_BY: choice.made_by}
        return self._distilled("train-student", student, seed, settings, inputs, modules)

    def trial(self, student: Student, seed: int) -> Run:
        """Return the run that tries a student's settings; errors are those of ``student``."""
        parts = self._distillation(student, seed)
        return self._distilled("trial", student, seed, *parts)

    def _distilled(
        self,
        stage: str,
        student: Student,
        seed: int,
        settings: dict[str, Any],
        inputs: dict[str, Run],
        modules: tuple[str, ...],
    ) -> Run:
        slug = names.joined(
            self._name_of_data(student.data),
            names.part(student.pair_id),
            names.part(student.entry_id),
            names.of_variant(student.varied),
            f"s{seed}",
            "trial" if stage == "trial" else "",
        )
        shown = self.data_sets.images(student.data, student.split)
        is_short = shown is not None and shown * student.training.epochs <= _SHORT
        return self.add(stage, slug, settings, inputs, modules, is_short=is_short)

    def _distillation(
        self, student: Student, seed: int
    ) -> tuple[dict[str, Any], dict[str, Run], tuple[str, ...]]:
        """Return plain settings, inputs and modules of a student's training."""
        settings = DistillationSettings(
            arch=student.arch,
            source=source_of(student.pair.student),
            seed=seed,
            channels=student.pair.channels,
            method=student.method_name,
            options=student.options.model_dump(mode="json"),
            weights=student.weights,
            kd_temperature=student.kd_temperature if student.uses_kd else None,
            ensemble=student.combination,
            joint_temperature=student.joint_temperature,
            views=self._views(student.data, student.training, self._experiment.embeddings.seed),
            **self._common(student.data, student.training),
        )
        inputs = {
            "prepared": self.prepared(student.data),
            "split": self._split(student.data, student.split),
        }
        modules = [models.module_of(settings.arch), *student.method_modules]
        for number, name in enumerate(student.teachers if student.uses_teacher else (), start=1):
            suffix = f"-{number}" if number > 1 else ""
            if student.is_cached:
                inputs[f"embeddings{suffix}"] = self._embeddings(student, name, settings.views)
                if "classifier" in student.method.needs:
                    inputs[f"classifier{suffix}"] = self.teacher(name, student.split_of_teachers)
                    modules.append(models.module_of(self._experiment.teachers[name].arch))
            else:
                inputs[f"teacher{suffix}"] = self.teacher(name, student.split_of_teachers)
                modules.append(models.module_of(self._experiment.teachers[name].arch))
        return settings.model_dump(mode="json"), inputs, tuple(modules)

    def _added(self, run: Run) -> Run:
        known = self._by_key.setdefault(run.key, run)
        return self.planned.setdefault(known.location, known)

    def _name_of_data(self, data: str) -> str:
        return names.of_data(data, self.data_sets.settings(data))

    def _imported(self, name: str, teacher: Teacher, checkpoint: Checkpoint) -> Run:
        settings = imported.Settings(
            arch=teacher.arch,
            file=checkpoint.file,
            sha256=checkpoint.sha256,
            at_chance=checkpoint.at_chance,
            source=source_of(teacher.arch),
            channels=teacher.channels,
            normalisation=teacher.own_normalisation,
        )
        return self._added(imported_run(name, self.prepared(teacher.data_set), settings))

    def _trained(self, name: str, teacher: Teacher, override: SplitOverride) -> Run:
        data, training = teacher.data_set, self.teacher_training(name)
        settings = trained.Settings(
            arch=teacher.arch,
            source=source_of(teacher.arch),
            seed=teacher.seed,
            channels=teacher.channels,
            normalisation=teacher.own_normalisation,
            start=teacher.start,
            views=self._views(data, training, teacher.seed),
            **self._common(data, training),
        )
        own = self.data_sets.settings(data)
        where = ("teachers", name) if teacher.split else path_of_data(data)
        path = (*where, "split")
        split = merged(teacher.split or own.split, [override], path)
        split = self.data_sets.checked(data, split, path)
        processes = self._experiment.compute.processes
        self.data_sets.check_batches(data, split, training, processes, ("training",))
        inputs = {"prepared": self.prepared(data), "split": self._split(data, split)}
        slug = names.joined(
            self._name_of_data(data),
            names.of_network(name, teacher.arch),
            # Those of trials, which have not seen the held-out images.
            names.of_split(split) if override.model_fields_set else "",
            f"s{teacher.seed}",
        )
        modules = (models.module_of(teacher.arch),)
        return self.add("train-teacher", slug, settings.model_dump(mode="json"), inputs, modules)

    @remembered
    def _split(self, data: str, settings: splitting.Settings) -> Run:
        slug = names.joined(self._name_of_data(data), names.of_split(settings) or "all", "split")
        inputs = {"prepared": self.prepared(data)}
        return self.add("split", slug, settings.model_dump(mode="json"), inputs)

    def _embeddings(self, student: Student, name: str, views: ViewOrder) -> Run:
        """Return the run that caches what a teacher says of a student's training images."""
        teacher = self._experiment.teachers[name]
        settings = embed.Settings(
            views=views,
            augmentation=self.data_sets.augmentation(student.data),
            precision=self._experiment.embeddings.precision,
        )
        inputs = {
            "prepared": self.prepared(student.data),
            "split": self._split(student.data, student.split),
            "teacher": self.teacher(name, student.split_of_teachers),
        }
        slug = names.joined(
            inputs["teacher"].slug, "for", names.of_split(student.split) or "all", f"v{views.slots}"
        )
        modules = (models.module_of(teacher.arch),)
        return self.add("embed", slug, settings.model_dump(mode="json"), inputs, modules)

    def _common(self, data: str, training: Training) -> dict[str, Any]:
        """Return those settings that teachers and students get in the same way."""
        milestones = training.resolved_milestones
        return {
            "training": training.model_copy(update={"milestones": milestones}),
            "compute": self._experiment.compute,
            "augmentation": self.data_sets.augmentation(data),
        }

    def _views(self, data: str, training: Training, seed: int) -> ViewOrder:
        wanted, distinct = (
            self._experiment.embeddings.slots,
            self.data_sets.augmentation(data).views,
        )
        if wanted and wanted > distinct:
            raise ParamsError(
                ("embeddings", "slots"),
                f"found {wanted}; there are only {distinct} distinct views "
                f"(allowed: 1 to {distinct})",
            )
        return ViewOrder(slots=wanted or min(distinct, training.epochs), seed=seed)


def _require_same(entry: str, found: list[Any], expected: list[Any]) -> None:
    """Check that what is selected does not change what is read, which is planned before.

    Raises:
        ParamsError: it does.
    """
    if found != expected:
        raise ParamsError(
            ("tuning", "methods", entry, "vary"),
            "its values and the entry's own do not learn from the same runs, as with `weights.kd` "
            "0 beside others, or other `training.epochs`; make them entries of their own",
        )
