"""Expands an experiment into its runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from distillery.artifacts import Run, run_key
from distillery.data.settings import Split
from distillery.data.sources import registry as sources
from distillery.errors import UserError
from distillery.fingerprint import fingerprint, source_digest
from distillery.methods import registry as methods
from distillery.methods.base import Method, Weights
from distillery.models import registry as models
from distillery.models.base import ModelSpec, describe
from distillery.params import (
    Ablation,
    Experiment,
    MethodEntry,
    MethodOverride,
    Pair,
    ParamsError,
    Teacher,
    format_problem,
    method_options,
    protocol_options,
    validated,
)
from distillery.plan import Plan, Row
from distillery.schema import Settings
from distillery.stages import STAGES, module_of
from distillery.training.importing import imported_run
from distillery.training.settings import Training

REPORT_MODULES = ("distillery.reporting.report",)
REPORT_TEMPLATES = "reporting/templates"
Place = tuple[str | int, ...]


def build(experiment: Experiment, file: Path) -> Plan:
    """Return the plan of a checked experiment.

    Raises:
        UserError: one line naming ``file`` and the key path of the first combination that cannot
            be run.
    """
    try:
        return _Grid(experiment).plan()
    except ParamsError as error:
        raise UserError(format_problem(file, error.path, str(error))) from None


@dataclass(frozen=True)
class _Student:
    """A resolved student before seeds: what a row of the grid trains."""

    pair: Pair
    entry: MethodEntry
    method: type[Method]
    options: Settings
    weights: Weights
    training: Training

    @property
    def uses_kd(self) -> bool:
        return self.weights.kd > 0

    @property
    def uses_teacher(self) -> bool:
        return self.uses_kd or bool(self.method.needs) or self.method.copies > 1

    @property
    def is_cached(self) -> bool:
        return self.uses_teacher and self.method.trains_from_cache()


@dataclass
class _Grid:
    experiment: Experiment
    runs: dict[str, Run] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def plan(self) -> Plan:
        """Add all runs and rows, and collect them."""
        for name in self.experiment.teachers:
            self._add_teacher_row(name)
        for pair_name, pair in self.experiment.pairs.items():
            for method_name in self.experiment.methods:
                if method_name in pair.without:
                    continue
                student = self._student(pair_name, method_name)
                for seed in pair.seeds or self.experiment.seeds:
                    self._add_student_row("main", pair_name, method_name, {}, student, seed)
        for name, ablation in self.experiment.ablations.items():
            self._add_ablation(name, ablation)
        return self._collected()

    # Rows

    def _add_teacher_row(self, name: str) -> None:
        run = self._teacher_run(name)
        teacher = self.experiment.teachers[name]
        self.rows.append(
            Row(
                table="teachers",
                pair="",
                method="",
                title=f"{name} ({teacher.arch})" if name != teacher.arch else name,
                variant={},
                seed=teacher.seed,
                run=run.location,
                evaluations=self._evaluations(run, teacher.arch, run, teacher.arch),
                teacher=run.location,
            )
        )

    def _add_student_row(
        self,
        table: str,
        pair_name: str,
        method_name: str,
        variant: Mapping[str, Any],
        student: _Student,
        seed: int,
    ) -> None:
        run = self._student_run(student, seed)
        teacher = self._teacher_run(student.pair.teacher)
        architectures = student.pair.student, self._teacher(student.pair).arch
        self.rows.append(
            Row(
                table=table,
                pair=pair_name,
                method=method_name,
                title=student.entry.title or _title(student),
                variant=variant,
                seed=seed,
                run=run.location,
                evaluations=self._evaluations(run, architectures[0], teacher, architectures[1]),
                teacher=teacher.location,
            )
        )

    def _add_ablation(self, name: str, ablation: Ablation) -> None:
        for variant, override in _variants(ablation, ("ablations", name, "vary")):
            student = self._student(ablation.pair, ablation.method, name, override)
            seeds = ablation.seeds or self.experiment.pairs[ablation.pair].seeds
            for seed in seeds or self.experiment.seeds:
                self._add_student_row(name, ablation.pair, ablation.method, variant, student, seed)

    # Resolution

    def _teacher(self, pair: Pair) -> Teacher:
        return self.experiment.teachers[pair.teacher]

    def _student(
        self,
        pair_name: str,
        method_name: str,
        ablation: str | None = None,
        varied: MethodOverride | None = None,
    ) -> _Student:
        """Resolve a student: method entry, then the pair's override, then the ablation's."""
        pair, entry = self.experiment.pairs[pair_name], self.experiment.methods[method_name]
        place: Place = ("ablations", ablation, "vary") if ablation else ("methods", method_name)
        in_pair = pair.methods.get(method_name, MethodOverride())
        if pair.methods.get(method_name) and not ablation:
            place = ("pairs", pair_name, "methods", method_name)
        layers = [entry, in_pair, *([varied] if varied else [])]
        name = entry.method or method_name
        method = methods.load(name)
        options: dict[str, Any] = {}
        for layer in layers:
            options.update(layer.options)
        temperatures = [layer.kd_temperature for layer in layers if layer.kd_temperature]
        student = _Student(
            pair=pair,
            entry=entry.model_copy(
                update={"method": name, "kd_temperature": temperatures[-1] if temperatures else 4.0}
            ),
            method=method,
            options=method_options(name, options, (*place, "options")),
            weights=_merged(
                method.weights, [layer.weights for layer in layers], (*place, "weights")
            ),
            training=_merged(
                self.experiment.training,
                [pair.training, *(layer.training for layer in layers)],
                (*place, "training"),
            ),
        )
        self._check(student, ("pairs", pair_name) if not ablation else place)
        return student

    def _check(self, student: _Student, place: Place) -> None:
        if not student.uses_teacher:
            return
        teacher_arch = self._teacher(student.pair).arch
        try:
            student.method.check(
                student.options, self._spec(student.pair.student), self._spec(teacher_arch)
            )
        except UserError as error:
            raise ParamsError(place, str(error)) from None

    def _spec(self, arch: str) -> ModelSpec:
        """Describe a network as far as it is known before the data are read."""
        data = self.experiment.data
        shape = sources.known_shape(data.origin)
        size, channels = shape if shape else (data.image_size or 32, 3)
        return describe(arch, num_classes=10, in_channels=channels, image_size=size)

    # Runs

    def _run(
        self,
        stage: str,
        slug: str,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Run],
        modules: tuple[str, ...] = (),
    ) -> Run:
        run = Run(
            stage=stage,
            folder=STAGES[stage].folder,
            slug=slug,
            settings=settings,
            inputs={name: source.location for name, source in inputs.items()},
            code=_fingerprint(frozenset({module_of(stage, settings), *modules})),
        )
        return self.runs.setdefault(run.location, run)

    def _prepared(self) -> Run:
        source = self.experiment.data.origin
        return self._run(
            "prepare",
            source.source,
            source.model_dump(mode="json"),
            {},
            (sources.module_of(source.source),),
        )

    def _split(self, split: Split | None = None) -> Run:
        settings = (split or self.experiment.data.split).model_dump(mode="json")
        slug = f"{self.experiment.data.source}-split"
        return self._run("split", slug, settings, {"prepared": self._prepared()})

    def _teacher_run(self, name: str) -> Run:
        teacher = self.experiment.teachers[name]
        slug = f"{self.experiment.data.source}-{teacher.arch}"
        model = (models.module_of(teacher.arch),)
        if teacher.checkpoint:
            settings = {"arch": teacher.arch, **teacher.checkpoint.model_dump()}
            imported = imported_run(self._prepared(), settings, *model)
            return self.runs.setdefault(imported.location, imported)
        training = _merged(
            self.experiment.training, [teacher.training], ("teachers", name, "training")
        )
        settings = {
            "arch": teacher.arch,
            "seed": teacher.seed,
            **self._common_settings(training, teacher.seed),
        }
        inputs = {"prepared": self._prepared(), "split": self._split(teacher.split)}
        return self._run("train-teacher", f"{slug}-s{teacher.seed}", settings, inputs, model)

    def _common_settings(self, training: Training, view_seed: int) -> dict[str, Any]:
        """Return the settings that teachers and students share."""
        data, views = self.experiment.data, self.experiment.embeddings
        distinct = data.augmentation.views
        if views.slots and views.slots > distinct:
            raise ParamsError(
                ("embeddings", "slots"),
                f"found {views.slots}; there are only {distinct} distinct views "
                f"(allowed: 1 to {distinct})",
            )
        return {
            "training": _resolved(training),
            "compute": self.experiment.compute.model_dump(mode="json"),
            "augmentation": data.augmentation.model_dump(mode="json"),
            "views": {
                "slots": views.slots or min(distinct, training.epochs),
                "seed": view_seed,
            },
        }

    def _embedding_run(self, student: _Student, views: Mapping[str, Any]) -> Run:
        teacher = self._teacher(student.pair)
        settings = {
            "views": views,
            "augmentation": self.experiment.data.augmentation.model_dump(mode="json"),
            "precision": self.experiment.embeddings.precision,
        }
        inputs = {
            "prepared": self._prepared(),
            "split": self._split(),
            "teacher": self._teacher_run(student.pair.teacher),
        }
        slug = f"{self.experiment.data.source}-{teacher.arch}-s{teacher.seed}-v{views['slots']}"
        return self._run("embed", slug, settings, inputs, (models.module_of(teacher.arch),))

    def _student_run(self, student: _Student, seed: int) -> Run:
        arch, method = student.pair.student, str(student.entry.method)
        common = self._common_settings(student.training, self.experiment.embeddings.seed)
        settings = {
            "arch": arch,
            "seed": seed,
            "method": method,
            "options": student.options.model_dump(mode="json"),
            "weights": student.weights.model_dump(mode="json"),
            "kd_temperature": student.entry.kd_temperature if student.uses_kd else None,
            **common,
        }
        inputs = {"prepared": self._prepared(), "split": self._split()}
        modules = [models.module_of(arch), methods.module_of(method)]
        if student.uses_kd:
            modules.append(methods.module_of("kd"))
        slug = f"{self.experiment.data.source}-{arch}-{method}-s{seed}"
        if student.is_cached:
            inputs["embeddings"] = self._embedding_run(student, common["views"])
        elif student.uses_teacher:
            inputs["teacher"] = self._teacher_run(student.pair.teacher)
            modules.append(models.module_of(self._teacher(student.pair).arch))
        return self._run("train-student", slug, settings, inputs, tuple(modules))

    def _evaluations(
        self, network: Run, arch: str, teacher: Run, teacher_arch: str
    ) -> dict[str, str]:
        """Add every protocol for one network and return the locations by protocol."""
        locations = {}
        for name, options in self.experiment.protocols.items():
            chosen = protocol_options(name, options).model_dump(mode="json")
            run = self._run(
                "evaluate",
                f"{network.slug}-{name}",
                {"protocol": name, "options": chosen},
                {"prepared": self._prepared(), "network": network, "teacher": teacher},
                (models.module_of(arch), models.module_of(teacher_arch)),
            )
            locations[name] = run.location
        return locations

    def _collected(self) -> Plan:
        rows = tuple(self.rows)
        read = {
            location: self.runs[location]
            for row in rows
            for location in (row.run, row.teacher, *row.evaluations.values())
        }
        settings = {"rows": [asdict(row) for row in rows]}
        collected = self._run("collect", self.experiment.name, settings, read)
        report = self._report_settings()
        identity = {
            "report": report,
            "collected": collected.key,
            "code": _fingerprint(frozenset(REPORT_MODULES)),
            "templates": source_digest(REPORT_TEMPLATES),
        }
        return Plan(
            name=self.experiment.name,
            runs=self.runs,
            rows=rows,
            collected=collected.location,
            report=report,
            report_key=run_key(identity),
            threads=self.experiment.compute.threads * self.experiment.compute.processes,
        )

    def _report_settings(self) -> dict[str, Any]:
        experiment = self.experiment
        return {
            **experiment.report.model_dump(mode="json"),
            "folder": experiment.report_folder,
            "name": experiment.name,
            "title": experiment.title,
            "description": experiment.description,
            "pairs": {
                name: {
                    "teacher": pair.teacher,
                    "teacher_arch": experiment.teachers[pair.teacher].arch,
                    "student_arch": pair.student,
                }
                for name, pair in experiment.pairs.items()
            },
            "ablations": {
                name: {"title": ablation.title or name, "axes": list(_axes(ablation.vary))}
                for name, ablation in experiment.ablations.items()
            },
        }


@cache
def _fingerprint(modules: frozenset[str]) -> str:
    return fingerprint(modules)


def _resolved(training: Training) -> dict[str, Any]:
    plain = training.model_dump(mode="json")
    return {**plain, "milestones": list(training.resolved_milestones)}


def _merged(base: Any, overrides: list[Any], place: Place) -> Any:
    """Return ``base`` with the fields that the overrides set, validated again."""
    values = base.model_dump()
    for override in overrides:
        values.update(override.model_dump(exclude_unset=True, exclude_none=True))
    return validated(type(base), values, place)


def _title(student: _Student) -> str:
    return f"{student.method.title} + KD" if student.uses_kd else student.method.title


def _axes(vary: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of the axes of an ablation."""
    for name, value in vary.items():
        if isinstance(value, Mapping):
            yield from _axes(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _variants(ablation: Ablation, place: Place) -> Iterator[tuple[dict[str, Any], MethodOverride]]:
    """Yield every combination of values: axis -> value, and the override that applies it."""
    axes = list(_axes(ablation.vary))
    values = [_lookup(ablation.vary, axis) for axis in axes]
    for axis, choices in zip(axes, values, strict=True):
        if not isinstance(choices, list) or not choices:
            raise ParamsError(
                (*place, *axis.split(".")), f"found {choices!r}; an axis is a list of values"
            )
    for combination in itertools.product(*values):
        variant = dict(zip(axes, combination, strict=True))
        yield variant, validated(MethodOverride, _nested(variant), place)


def _lookup(tree: Mapping[str, Any], dotted: str) -> Any:
    value: Any = tree
    for part in dotted.split("."):
        value = value[part]
    return value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted names into nested mappings."""
    tree: dict[str, Any] = {}
    for dotted, value in flat.items():
        *parents, last = dotted.split(".")
        branch = tree
        for part in parents:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree
