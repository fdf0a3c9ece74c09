"""The runs of data, teachers, embeddings and students: settings, inputs and code of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from distillery.data.settings import Split
from distillery.data.sources import registry as sources
from distillery.experiment.params import Experiment, ParamsError
from distillery.models import registry as models
from distillery.planning.data_sets import DataSets
from distillery.planning.importing import imported_run
from distillery.planning.students import Student
from distillery.runs.artifacts import Run
from distillery.runs.fingerprint import fingerprint
from distillery.runs.stages import STAGES, module_of
from distillery.training.settings import Training


@cache
def fingerprint_of(modules: frozenset[str]) -> str:
    """Return the fingerprint of these modules' code, computed once."""
    return fingerprint(modules)


class Runs:
    """The runs that an experiment needs: every method adds one, with all that it reads.

    Attributes:
        planned: location -> run, inputs before what reads them.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.planned: dict[str, Run] = {}
        self._experiment = experiment
        self._data_sets = DataSets(experiment)

    def add(
        self,
        stage: str,
        slug: str,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Run],
        modules: tuple[str, ...] = (),
    ) -> Run:
        """Add a run unless it is there, and return it.

        Args:
            stage: name of the stage.
            slug: readable name.
            settings: everything that decides the result, resolved to plain values.
            inputs: name -> run that is read.
            modules: what computes the run beside the stage's own module.
        """
        run = Run(
            stage=stage,
            folder=STAGES[stage].folder,
            slug=slug,
            settings=settings,
            inputs={name: source.location for name, source in inputs.items()},
            code=fingerprint_of(frozenset({module_of(stage, settings), *modules})),
        )
        return self.planned.setdefault(run.location, run)

    def prepared(self, data: str | None) -> Run:
        """Return the run that prepares a data set."""
        source = self._data_sets.settings(data).origin
        module = sources.module_of(source.source)
        return self.add("prepare", source.source, source.model_dump(mode="json"), {}, (module,))

    def teacher(self, name: str) -> Run:
        """Return the run that trains or imports a teacher.

        Raises:
            ParamsError: its settings do not fit together.
        """
        teacher = self._experiment.teachers[name]
        data = self._data_sets.settings(teacher.data)
        slug = f"{data.source}-{teacher.arch}"
        model = (models.module_of(teacher.arch),)
        prepared = self.prepared(teacher.data)
        if teacher.checkpoint:
            settings = {
                "arch": teacher.arch,
                **teacher.checkpoint.model_dump(),
                # Left out for all channels: then it is the run of ``distillery import-teacher``.
                **({"channels": teacher.channels} if teacher.channels else {}),
            }
            imported = imported_run(prepared, settings, *model)
            return self.planned.setdefault(imported.location, imported)
        place = ("teachers", name, "training")
        training = self._data_sets.training(teacher.data, [teacher.training], place)
        settings = {
            "arch": teacher.arch,
            "seed": teacher.seed,
            "channels": teacher.channels,
            **self._common_settings(teacher.data, training, teacher.seed),
        }
        chosen = self._data_sets.checked(
            teacher.data, teacher.split or data.split, ("teachers", name, "split")
        )
        split = self._split(teacher.data, chosen)
        inputs = {"prepared": prepared, "split": split}
        return self.add("train-teacher", f"{slug}-s{teacher.seed}", settings, inputs, model)

    def student(self, student: Student, seed: int) -> Run:
        """Return the run that trains a student.

        Raises:
            ParamsError: there are fewer distinct views than slots.
        """
        arch, method = student.pair.student, str(student.entry.method)
        common = self._common_settings(
            student.data, student.training, self._experiment.embeddings.seed
        )
        settings = {
            "arch": arch,
            "seed": seed,
            "channels": student.pair.channels,
            "method": method,
            "options": student.options.model_dump(mode="json"),
            "weights": student.weights.model_dump(mode="json"),
            "kd_temperature": student.entry.kd_temperature if student.uses_kd else None,
            "ensemble": student.combination,
            "joint_temperature": student.joint_temperature,
            **common,
        }
        inputs = {
            "prepared": self.prepared(student.data),
            "split": self._split(student.data, student.split),
        }
        modules = [models.module_of(arch), *student.method_modules]
        slug = f"{self._data_sets.settings(student.data).source}-{arch}-{method}-s{seed}"
        for number, name in enumerate(student.teachers if student.uses_teacher else (), start=1):
            place = f"-{number}" if number > 1 else ""
            if student.is_cached:
                inputs[f"embeddings{place}"] = self._embeddings(student, name, common["views"])
            else:
                inputs[f"teacher{place}"] = self.teacher(name)
                modules.append(models.module_of(self._experiment.teachers[name].arch))
        return self.add("train-student", slug, settings, inputs, tuple(modules))

    def _split(self, data: str | None, split: Split) -> Run:
        slug = f"{self._data_sets.settings(data).source}-split"
        inputs = {"prepared": self.prepared(data)}
        return self.add("split", slug, split.model_dump(mode="json"), inputs)

    def _embeddings(self, student: Student, name: str, views: Mapping[str, Any]) -> Run:
        """Return the run that caches what a teacher says of a student's training images."""
        teacher = self._experiment.teachers[name]
        settings = {
            "views": views,
            "augmentation": self._data_sets.augmentation(student.data).model_dump(mode="json"),
            "precision": self._experiment.embeddings.precision,
        }
        inputs = {
            "prepared": self.prepared(student.data),
            "split": self._split(student.data, student.split),
            "teacher": self.teacher(name),
        }
        source = self._data_sets.settings(student.data).source
        slug = f"{source}-{teacher.arch}-s{teacher.seed}-v{views['slots']}"
        return self.add("embed", slug, settings, inputs, (models.module_of(teacher.arch),))

    def _common_settings(
        self, data: str | None, training: Training, view_seed: int
    ) -> dict[str, Any]:
        """Return the settings that teachers and students share."""
        augmentation, views = self._data_sets.augmentation(data), self._experiment.embeddings
        distinct = augmentation.views
        if views.slots and views.slots > distinct:
            raise ParamsError(
                ("embeddings", "slots"),
                f"found {views.slots}; there are only {distinct} distinct views "
                f"(allowed: 1 to {distinct})",
            )
        return {
            "training": {
                **training.model_dump(mode="json"),
                "milestones": list(training.resolved_milestones),
            },
            "compute": self._experiment.compute.model_dump(mode="json"),
            "augmentation": augmentation.model_dump(mode="json"),
            "views": {
                "slots": views.slots or min(distinct, training.epochs),
                "seed": view_seed,
            },
        }
