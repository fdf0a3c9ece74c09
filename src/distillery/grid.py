"""Expands an experiment into its runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from distillery.artifacts import Run, run_key
from distillery.data.settings import Augmentation, Split
from distillery.data.sources import registry as sources
from distillery.errors import UserError, unknown_name
from distillery.evaluation import registry as protocols
from distillery.fingerprint import fingerprint, source_digest
from distillery.methods import registry as methods
from distillery.methods.base import Method, Weights
from distillery.models import registry as models
from distillery.models.base import ModelSpec, describe
from distillery.params import (
    Ablation,
    Data,
    Experiment,
    MethodEntry,
    MethodOverride,
    Pair,
    ParamsError,
    ProtocolEntry,
    TrainingOverride,
    format_problem,
    method_options,
    protocol_options,
    validated,
)
from distillery.plan import Plan, Row
from distillery.reporting.sections import registry as sections
from distillery.schema import Settings
from distillery.stages import STAGES, module_of
from distillery.training.importing import imported_run
from distillery.training.settings import Combination, Training

REPORT_MODULES = ("distillery.reporting.report",)
REPORT_TEMPLATES = "reporting/templates"
Place = tuple[str | int, ...]
Shape = tuple[int, int] | None


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
    teachers: tuple[str, ...]
    data: str | None
    entry: MethodEntry
    method: type[Method]
    options: Settings
    weights: Weights
    training: Training
    split: Split

    @property
    def uses_kd(self) -> bool:
        return self.weights.kd > 0

    @property
    def uses_teacher(self) -> bool:
        return self.uses_kd or bool(self.method.needs) or self.method.copies > 1

    @property
    def is_cached(self) -> bool:
        return self.uses_teacher and self.method.trains_from_cache()

    @property
    def combination(self) -> Combination | None:
        several = len(self.teachers) > 1 and self.uses_teacher
        return (self.entry.ensemble or "mean") if several else None


@dataclass(frozen=True)
class _Network:
    """A trained network that protocols are run on."""

    run: Run
    arch: str
    data: str | None
    modules: tuple[str, ...] = ()


@dataclass
class _Grid:
    experiment: Experiment
    runs: dict[str, Run] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=dict)

    def plan(self) -> Plan:
        """Add all runs and rows, and collect them."""
        for name in self.experiment.teachers:
            self._add_teacher_row(name)
        for pair_name, pair in self.experiment.pairs.items():
            for method_name in self.experiment.methods:
                if not pair.runs(method_name):
                    continue
                student = self._student(pair_name, method_name)
                for seed in pair.seeds or self.experiment.seeds:
                    self._add_student_row("main", pair_name, method_name, {}, student, seed)
        for name, ablation in self.experiment.ablations.items():
            self._add_ablation(name, ablation, ("ablations", name))
        for name, entry in self.experiment.protocols.items():
            study = _study(name, entry, self.experiment)
            if study:
                self._add_ablation(name, study, ("protocols", name))
        return self._collected()

    # Rows

    def _add_teacher_row(self, name: str) -> None:
        teacher = self.experiment.teachers[name]
        network = self._teacher_network(name)
        self.rows.append(
            Row(
                table="teachers",
                pair="",
                method="",
                title=f"{name} ({teacher.arch})" if name != teacher.arch else name,
                variant={},
                seed=teacher.seed,
                run=network.run.location,
                evaluations=self._evaluations(network, network, self._protocols_of_teacher(name)),
                teacher=network.run.location,
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
        protocols: tuple[str, ...] | None = None,
    ) -> None:
        run = self._student_run(student, seed)
        teacher = self._teacher_network(student.teachers[0])
        network = _Network(run, student.pair.student, student.data, _method_modules(student))
        if protocols is None:
            protocols = self._protocols_of_student(pair_name, method_name, seed)
        if student.method.section:
            self.sections[student.method.section] = student.method.section
        self.rows.append(
            Row(
                table=table,
                pair=pair_name,
                method=method_name,
                title=student.entry.title or _title(student),
                variant=variant,
                seed=seed,
                run=run.location,
                evaluations=self._evaluations(network, teacher, protocols),
                teacher=teacher.run.location,
            )
        )

    def _add_ablation(self, name: str, ablation: Ablation, place: Place) -> None:
        """Add every variant; lists of pairs and methods are axes of their own."""
        for pair, method in itertools.product(ablation.pairs, ablation.methods):
            names = {
                **({"pair": pair} if len(ablation.pairs) > 1 else {}),
                **({"method": method} if len(ablation.methods) > 1 else {}),
            }
            for settings, override, at in _variants(ablation, (*place, "vary")):
                student = self._student(pair, method, at, override)
                seeds = ablation.seeds or self.experiment.pairs[pair].seeds
                for seed in seeds or self.experiment.seeds:
                    self._add_student_row(
                        name,
                        pair,
                        method,
                        {**names, **settings},
                        student,
                        seed,
                        ablation.protocols,
                    )

    def _protocols_of_student(self, pair: str, method: str, seed: int) -> tuple[str, ...]:
        return tuple(
            name
            for name, entry in self.experiment.protocols.items()
            if pair in (entry.pairs or (pair,))
            and method in (entry.methods or (method,))
            and seed in (entry.seeds or (seed,))
        )

    def _protocols_of_teacher(self, teacher: str) -> tuple[str, ...]:
        """Return the protocols of the pairs that the teacher has in the comparison."""
        taught = {
            name
            for name, pair in self.experiment.pairs.items()
            if teacher in pair.teachers and any(map(pair.runs, self.experiment.methods))
        }
        return tuple(
            name
            for name, entry in self.experiment.protocols.items()
            if taught & set(entry.pairs or taught)
        )

    # Resolution

    def _data(self, name: str | None) -> Data:
        return self.experiment.datasets[name] if name else self.experiment.data

    def _augmentation(self, data: str | None) -> Augmentation:
        chosen = self._data(data)
        return chosen.augmentation.resolved(chosen.source)

    def _training(
        self, data: str | None, overrides: list[TrainingOverride], place: Place
    ) -> Training:
        merged: Training = _merged(
            self.experiment.training, [self._data(data).training, *overrides], place
        )
        return merged

    def _student(
        self,
        pair_name: str,
        method_name: str,
        varied_at: Place | None = None,
        varied: MethodOverride | None = None,
    ) -> _Student:
        """Resolve a student: method entry, then the pair's override, then the ablation's."""
        pair, entry = self.experiment.pairs[pair_name], self.experiment.methods[method_name]
        place: Place = varied_at or ("methods", method_name)
        in_pair = pair.methods.get(method_name, MethodOverride())
        if pair.methods.get(method_name) and not varied_at:
            place = ("pairs", pair_name, "methods", method_name)
        layers = [entry, in_pair, *([varied] if varied else [])]
        name = entry.method or method_name
        method = methods.load(name)
        options: dict[str, Any] = {}
        for layer in layers:
            options = _deep_merged(options, layer.options)
        count = _last(layer.teachers for layer in layers)
        if count and count > len(pair.teachers):
            known = len(pair.teachers)
            raise ParamsError(
                (*place, "teachers"),
                f"found {count}; pair '{pair_name}' has {known} (allowed: 1 to {known})",
            )
        teachers = pair.teachers[:count]
        data = self._common_data(teachers, ("pairs", pair_name, "teacher"))
        student = _Student(
            pair=pair,
            teachers=teachers,
            data=data,
            entry=entry.model_copy(
                update={
                    "method": name,
                    "kd_temperature": _last(layer.kd_temperature for layer in layers) or 4.0,
                    "ensemble": _last(layer.ensemble for layer in layers),
                }
            ),
            method=method,
            options=method_options(name, options, (*place, "options")),
            weights=_merged(
                method.weights, [layer.weights for layer in layers], (*place, "weights")
            ),
            training=self._training(
                data, [pair.training, *(layer.training for layer in layers)], (*place, "training")
            ),
            split=_merged(
                self._data(data).split, [layer.split for layer in layers], (*place, "split")
            ),
        )
        self._check(student, place if varied_at else ("pairs", pair_name))
        return student

    def _common_data(self, teachers: tuple[str, ...], place: Place) -> str | None:
        first, *others = (self.experiment.teachers[name].data for name in teachers)
        if any(other != first for other in others):
            raise ParamsError(place, "the teachers of an ensemble need one data set in common")
        return first

    def _check(self, student: _Student, place: Place) -> None:
        if not student.uses_teacher:
            return
        teachers = [self.experiment.teachers[name] for name in student.teachers]
        sees = student.pair.channels
        if not student.is_cached:
            why = f"'{student.entry.method}' runs the teacher live, which"
            if student.combination == "joint":
                raise ParamsError(place, f"{why} leaves no joint embedding (allowed: mean, sum)")
            if any(teacher.channels != sees for teacher in teachers):
                raise ParamsError(place, f"{why} then has to see the student's channels")
        student_spec = self._spec(student.pair.student, student.data, sees)
        specs = [self._spec(each.arch, student.data, each.channels) for each in teachers]
        if student.combination == "joint":
            dim = sum(spec.embedding_dim for spec in specs)
            specs = [replace(specs[0], embedding_dim=dim)]
        for spec in specs:
            try:
                student.method.check(student.options, student_spec, spec)
            except UserError as error:
                raise ParamsError(place, str(error)) from None

    def _shape(self, data: str | None, channels: tuple[int, ...] | None = None) -> Shape:
        """Return side and channels of the images as far as they are known before they are read."""
        shape = sources.known_shape(self._data(data).origin)
        return (shape[0], len(channels)) if shape and channels else shape

    def _spec(
        self, arch: str, data: str | None, channels: tuple[int, ...] | None = None
    ) -> ModelSpec:
        """Describe a network as far as it is known before the data are read."""
        known = self._shape(data, channels)
        size, depth = known or (self._data(data).image_size or 32, len(channels or (0, 1, 2)))
        side = self._augmentation(data).output_side(size)
        return describe(arch, num_classes=10, in_channels=depth, image_size=side)

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

    def _prepared(self, data: str | None) -> Run:
        source = self._data(data).origin
        return self._run(
            "prepare",
            source.source,
            source.model_dump(mode="json"),
            {},
            (sources.module_of(source.source),),
        )

    def _split(self, data: str | None, split: Split) -> Run:
        slug = f"{self._data(data).source}-split"
        inputs = {"prepared": self._prepared(data)}
        return self._run("split", slug, split.model_dump(mode="json"), inputs)

    def _teacher_network(self, name: str) -> _Network:
        teacher = self.experiment.teachers[name]
        return _Network(self._teacher_run(name), teacher.arch, teacher.data)

    def _teacher_run(self, name: str) -> Run:
        teacher = self.experiment.teachers[name]
        data = self._data(teacher.data)
        slug = f"{data.source}-{teacher.arch}"
        model = (models.module_of(teacher.arch),)
        prepared = self._prepared(teacher.data)
        if teacher.checkpoint:
            settings = {"arch": teacher.arch, **teacher.checkpoint.model_dump()}
            imported = imported_run(prepared, settings, *model)
            return self.runs.setdefault(imported.location, imported)
        training = self._training(teacher.data, [teacher.training], ("teachers", name, "training"))
        settings = {
            "arch": teacher.arch,
            "seed": teacher.seed,
            "channels": teacher.channels,
            **self._common_settings(teacher.data, training, teacher.seed),
        }
        split = self._split(teacher.data, teacher.split or data.split)
        inputs = {"prepared": prepared, "split": split}
        return self._run("train-teacher", f"{slug}-s{teacher.seed}", settings, inputs, model)

    def _common_settings(
        self, data: str | None, training: Training, view_seed: int
    ) -> dict[str, Any]:
        """Return the settings that teachers and students share."""
        augmentation, views = self._augmentation(data), self.experiment.embeddings
        distinct = augmentation.views
        if views.slots and views.slots > distinct:
            raise ParamsError(
                ("embeddings", "slots"),
                f"found {views.slots}; there are only {distinct} distinct views "
                f"(allowed: 1 to {distinct})",
            )
        return {
            "training": _resolved(training),
            "compute": self.experiment.compute.model_dump(mode="json"),
            "augmentation": augmentation.model_dump(mode="json"),
            "views": {
                "slots": views.slots or min(distinct, training.epochs),
                "seed": view_seed,
            },
        }

    def _embedding_run(self, student: _Student, name: str, views: Mapping[str, Any]) -> Run:
        teacher, data = self.experiment.teachers[name], self._data(student.data)
        settings = {
            "views": views,
            "augmentation": self._augmentation(student.data).model_dump(mode="json"),
            "precision": self.experiment.embeddings.precision,
        }
        inputs = {
            "prepared": self._prepared(student.data),
            "split": self._split(student.data, student.split),
            "teacher": self._teacher_run(name),
        }
        slug = f"{data.source}-{teacher.arch}-s{teacher.seed}-v{views['slots']}"
        return self._run("embed", slug, settings, inputs, (models.module_of(teacher.arch),))

    def _student_run(self, student: _Student, seed: int) -> Run:
        arch, method = student.pair.student, str(student.entry.method)
        common = self._common_settings(
            student.data, student.training, self.experiment.embeddings.seed
        )
        is_joint = student.combination == "joint"
        settings = {
            "arch": arch,
            "seed": seed,
            "channels": student.pair.channels,
            "method": method,
            "options": student.options.model_dump(mode="json"),
            "weights": student.weights.model_dump(mode="json"),
            "kd_temperature": student.entry.kd_temperature if student.uses_kd else None,
            "ensemble": student.combination,
            "joint_temperature": student.entry.kd_temperature if is_joint else None,
            **common,
        }
        inputs = {
            "prepared": self._prepared(student.data),
            "split": self._split(student.data, student.split),
        }
        modules = [models.module_of(arch), *_method_modules(student)]
        slug = f"{self._data(student.data).source}-{arch}-{method}-s{seed}"
        for number, name in enumerate(student.teachers if student.uses_teacher else (), start=1):
            place = f"-{number}" if number > 1 else ""
            if student.is_cached:
                source = self._embedding_run(student, name, common["views"])
                inputs[f"embeddings{place}"] = source
            else:
                inputs[f"teacher{place}"] = self._teacher_run(name)
                modules.append(models.module_of(self.experiment.teachers[name].arch))
        return self._run("train-student", slug, settings, inputs, tuple(modules))

    def _evaluations(
        self, network: _Network, teacher: _Network, names: tuple[str, ...]
    ) -> dict[str, str]:
        """Add protocols for one network and return the locations by entry."""
        locations = {}
        for name in names:
            entry = self.experiment.protocols[name]
            module = protocols.load(entry.protocol or name)
            if not protocols.is_study(module):
                run = self._evaluation(name, entry, module, network, teacher)
                locations[name] = run.location
        return locations

    def _evaluation(
        self,
        name: str,
        entry: ProtocolEntry,
        module: ModuleType,
        network: _Network,
        teacher: _Network,
    ) -> Run:
        options = protocol_options(name, entry)
        inputs = {
            "prepared": self._prepared(network.data),
            "network": network.run,
            "teacher": teacher.run,
        }
        target = None
        if hasattr(module, "data_set"):
            target = self._target(module.data_set(options), name)
            inputs["target"] = self._prepared(target)
            inputs["features"] = self._features(module, options, network, inputs["target"])
        self._check_protocol(name, module, options, network, target)
        modules = [models.module_of(network.arch), models.module_of(teacher.arch)]
        if getattr(module, "USES_METHOD", False):
            modules += network.modules
        settings = {
            "protocol": entry.protocol or name,
            "options": options.model_dump(mode="json"),
        }
        return self._run("evaluate", f"{network.run.slug}-{name}", settings, inputs, tuple(modules))

    def _target(self, found: str | None, protocol: str) -> str | None:
        allowed = list(self.experiment.datasets)
        if found is not None and found not in allowed:
            place = ("protocols", protocol, "options", "data")
            raise ParamsError(place, str(unknown_name("data set", found, allowed)))
        return found

    def _features(
        self, module: ModuleType, options: Settings, network: _Network, target: Run
    ) -> Run:
        """Return the run that caches a network's features of another data set."""
        return self._run(
            "extract",
            f"{network.run.slug}-on-{target.slug}",
            module.extract_settings(options),
            {"network": network.run, "source": self._prepared(network.data), "prepared": target},
            (models.module_of(network.arch),),
        )

    def _check_protocol(
        self,
        name: str,
        module: ModuleType,
        options: Settings,
        network: _Network,
        target: str | None,
    ) -> None:
        if not hasattr(module, "check"):
            return
        channels = network.run.settings.get("channels")
        spec = self._spec(network.arch, network.data, channels)
        try:
            own = self._shape(network.data, channels)
            module.check(options, spec, own, self._shape(target, channels))
        except UserError as error:
            raise ParamsError(("protocols", name), str(error)) from None

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
        modules = {sections.module_of(each["module"]) for each in report["sections"].values()}
        identity = {
            "report": report,
            "collected": collected.key,
            "code": _fingerprint(frozenset({*REPORT_MODULES, *modules})),
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
                    "teacher": pair.teachers[0],
                    "teacher_arch": self._teachers_label(pair),
                    "student_arch": pair.student,
                }
                for name, pair in experiment.pairs.items()
            },
            "ablations": {
                name: {"title": ablation.title or name, "axes": _all_axes(ablation)}
                for name, ablation in experiment.ablations.items()
            },
            "sections": self._section_settings(),
        }

    def _teachers_label(self, pair: Pair) -> str:
        """Name a pair's teachers, with their data set where there are several."""
        archs = [self.experiment.teachers[name].arch for name in pair.teachers]
        counted = {arch: archs.count(arch) for arch in archs}
        label = " + ".join(f"{n} {arch}" if n > 1 else arch for arch, n in counted.items())
        if not self._has_several_data:
            return label
        data = self.experiment.teachers[pair.teachers[0]].data or self.experiment.data.source
        return f"{data}: {label}"

    @property
    def _has_several_data(self) -> bool:
        teachers = self.experiment.teachers.values()
        return len({teacher.data for teacher in teachers}) > 1

    def _section_settings(self) -> dict[str, dict[str, Any]]:
        """Return the report's further sections: of the protocols, then of the methods."""
        wanted = {
            name: (entry.protocol or name, entry.title)
            for name, entry in self.experiment.protocols.items()
        }
        wanted.update({name: (name, None) for name in self.sections})
        known = sections.names()
        settings = {}
        for name, (module_name, title) in wanted.items():
            if module_name in known:
                module = sections.load(module_name)
                entry = self.experiment.protocols.get(name)
                study = _study(name, entry, self.experiment) if entry else None
                settings[name] = {
                    "module": module_name,
                    "title": title or module.TITLE,
                    "tables": list(module.TABLES),
                    "figures": list(module.FIGURES),
                    "axes": _all_axes(study) if study else [],
                }
        return settings


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
        values.update(override.model_dump(exclude_unset=True))
    return validated(type(base), values, place)


def _title(student: _Student) -> str:
    return f"{student.method.title} + KD" if student.uses_kd else student.method.title


def _method_modules(student: _Student) -> tuple[str, ...]:
    names = [str(student.entry.method), *(["kd"] if student.uses_kd else [])]
    return tuple(methods.module_of(name) for name in names)


def _study(name: str, entry: ProtocolEntry, experiment: Experiment) -> Ablation | None:
    """Return what a protocol trains, if that is how it works (few-shot, ensemble)."""
    module = protocols.load(entry.protocol or name)
    if not protocols.is_study(module):
        return None
    return Ablation(
        pair=entry.pairs or tuple(experiment.pairs),
        method=entry.methods or tuple(experiment.methods),
        vary=module.vary(protocol_options(name, entry)),
        seeds=entry.seeds,
    )


def _last(values: Iterable[Any]) -> Any:
    """Return the last value that is given."""
    return next((value for value in reversed([*values]) if value is not None), None)


def _deep_merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which groups of options are merged too."""
    merged = dict(base)
    for name, value in override.items():
        old: Any = merged.get(name)
        is_group = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = _deep_merged(old, value) if is_group else value
    return merged


def _all_axes(ablation: Ablation) -> list[str]:
    """Return the axes of an ablation: pairs and methods where there are several, then settings."""
    several = {"pair": ablation.pairs, "method": ablation.methods}
    names = [name for name, ids in several.items() if len(ids) > 1]
    return [*names, *dict.fromkeys(axis for part in _parts(ablation) for axis in _axes(part))]


def _parts(ablation: Ablation) -> list[dict[str, Any]]:
    return ablation.vary if isinstance(ablation.vary, list) else [ablation.vary]


def _axes(vary: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of what is varied."""
    for name, value in vary.items():
        if isinstance(value, Mapping) and value:
            yield from _axes(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _variants(
    ablation: Ablation, place: Place
) -> Iterator[tuple[dict[str, Any], MethodOverride, Place]]:
    """Yield the variants: axis -> value, the override that applies it, and its place."""
    if isinstance(ablation.vary, list):
        axes = [*dict.fromkeys(axis for part in ablation.vary for axis in _axes(part))]
        for number, part in enumerate(ablation.vary):
            given = {axis: _lookup(part, axis) for axis in _axes(part)}
            at = (*place, number)
            yield {axis: given.get(axis) for axis in axes}, _override(given, at), at
        return
    axes = [*_axes(ablation.vary)]
    values = [_lookup(ablation.vary, axis) for axis in axes]
    for axis, choices in zip(axes, values, strict=True):
        if not isinstance(choices, list | tuple) or not choices:
            raise ParamsError(
                (*place, *axis.split(".")), f"found {choices!r}; an axis is a list of values"
            )
    for combination in itertools.product(*values):
        variant = dict(zip(axes, combination, strict=True))
        yield variant, _override(variant, place), place


def _override(variant: Mapping[str, Any], place: Place) -> MethodOverride:
    override: MethodOverride = validated(MethodOverride, _nested(variant), place)
    return override


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
