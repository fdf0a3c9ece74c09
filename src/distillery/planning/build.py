"""From an experiment to its plan: the rows of the report, and the runs behind them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from distillery.core.errors import UserError
from distillery.data.card import Look
from distillery.experiment.ablations import Ablation
from distillery.experiment.errors import KeyPath, ParamsError, format_problem
from distillery.experiment.experiment import Experiment
from distillery.planning import effects, names
from distillery.planning.data_sets import DataSets, check_channels
from distillery.planning.evaluations import Evaluations, Network
from distillery.planning.paper_tables import MAIN, Shown
from distillery.planning.plan import OutsideFile, Plan
from distillery.planning.report import report_settings
from distillery.planning.runs import Runs, fingerprint_of
from distillery.planning.students import Choice, Student, resolve
from distillery.planning.tuning import Tunings
from distillery.planning.variants import study_of, variants_of
from distillery.reporting.results import collect
from distillery.reporting.sections import registry as sections
from distillery.reporting.settings import Row, Selection
from distillery.runs.fingerprint import source_digest
from distillery.runs.run import run_key

_REPORT_MODULES = ("distillery.reporting.page.build",)
_REPORT_TEMPLATES = "reporting/page/templates"


def build(
    experiment: Experiment,
    file: Path,
    looks: Mapping[str, Look] | None = None,
    *,
    is_cut: bool = False,
) -> Plan:
    """Return the plan of a checked experiment.

    Args:
        experiment: the experiment, as ``reading.load`` returns it.
        file: its params file, for messages.
        looks: what was found of its data sets, by id; without it a plan knows what their sources
            say of themselves.
        is_cut: whether rows were left out of it, so that settings may have nothing to change.

    Raises:
        UserError: one line naming ``file`` and the key path of the first combination that cannot
            be run.
    """
    try:
        data_sets = DataSets(experiment, looks)
        check_channels(experiment, data_sets)
        planner = _Planner(experiment, data_sets, file)
        planner.add_all()
        if not is_cut:
            planner.check_effects()
        return planner.collected()
    except ParamsError as error:
        raise UserError(format_problem(file, error.path, str(error))) from None


class _Planner:
    """Adds row by row, each with its runs."""

    def __init__(self, experiment: Experiment, data_sets: DataSets, file: Path) -> None:
        self._experiment = experiment
        self._file = file
        self._runs = Runs(experiment, data_sets)
        self._evaluations = Evaluations(experiment, self._runs)
        self._tunings = Tunings(experiment, self._runs)
        self._selections: tuple[Selection, ...] = ()
        self._teachers: dict[str, Network] = {}
        self._rows: list[Row] = []
        # Of the methods, each once, in the order of the rows.
        self._sections: list[str] = []
        # The students of the comparison, and the variants of ablations and studies, before seeds.
        self._shown: list[Shown] = []

    def add_all(self) -> None:
        """Add the trials, and the rows of teachers, comparison, ablations and studies."""
        experiment = self._experiment
        for name in experiment.teachers:
            self._add_teacher(name)
        self._selections = self._tunings.add_all()
        for pair_id, entry_id in itertools.product(experiment.pairs, experiment.methods):
            if experiment.compares(pair_id, entry_id):
                student = resolve(experiment, self._runs.data_sets, pair_id, entry_id)
                self._shown.append(Shown(MAIN, student, {}))
                choice = self._tunings.choice(pair_id, entry_id)
                for seed in self._seeds(pair_id):
                    names = _protocols_of_student(experiment, student, seed)
                    self._add_student(MAIN, student, choice, {}, seed, names)
        for name, ablation in experiment.ablations.items():
            self._add_ablation(name, ablation, ("ablations", name))
        for name, entry in experiment.protocols.items():
            study = study_of(name, entry, experiment)
            if study:
                self._add_ablation(name, study, ("protocols", name))

    def check_effects(self) -> None:
        """Demand that every setting of the params file changes something.

        Raises:
            ParamsError: one does not.
        """
        effects.check(self._experiment, self._runs, [each.student for each in self._shown])
        shown = {name for row in self._rows for name in row.evaluations}
        for name, entry in self._experiment.protocols.items():
            if name not in shown and study_of(name, entry, self._experiment) is None:
                path = ("protocols", name)
                raise ParamsError(path, "has no effect: it covers none of the networks")

    def collected(self) -> Plan:
        """Add the run that collects all results, and return the plan."""
        experiment, planned = self._experiment, self._runs.planned
        read = {
            location: planned[location]
            for row in self._rows
            for location in (row.run, row.teacher, *row.evaluations.values())
        }
        read |= {each.run: planned[each.run] for each in self._selections}
        # What the networks learned from, which the report describes.
        used = [planned[row.run].inputs for row in self._rows]
        images = {each[name] for each in used for name in ("prepared", "split") if name in each}
        read |= {location: planned[location] for location in sorted(images)}
        settings = collect.Settings(rows=tuple(self._rows), selections=self._selections).model_dump(
            mode="json"
        )
        name = names.joined(names.part(experiment.name), "results")
        collected = self._runs.add("collect", name, settings, read)
        report = report_settings(experiment, self._file, self._runs, self._sections, self._shown)
        modules = {sections.module_of(each.module) for each in report.sections.values()}
        identity = {
            "report": report.model_dump(mode="json"),
            "collected": collected.key,
            "code": fingerprint_of(frozenset({*_REPORT_MODULES, *modules})),
            "templates": source_digest(_REPORT_TEMPLATES),
        }
        return Plan(
            name=experiment.name,
            runs={name: replace(run, params=str(self._file)) for name, run in planned.items()},
            rows=tuple(self._rows),
            collected=collected.location,
            report=report,
            report_key=run_key(identity),
            threads=experiment.compute.threads * experiment.compute.processes,
            notes=self._runs.data_sets.notes,
            sources=self._runs.data_sets.sources,
            looks=self._runs.data_sets.looks,
            outside=tuple(self._outside()),
        )

    def _outside(self) -> Iterator[OutsideFile]:
        for name, teacher in self._experiment.teachers.items():
            wanted = teacher.checkpoint or teacher.weights
            if wanted:
                key = "checkpoint" if teacher.checkpoint else "weights"
                yield OutsideFile(
                    key=f"teachers.{name}.{key}",
                    name=wanted.file,
                    sha256=wanted.sha256,
                    run=self._runs.teacher(name).location,
                )

    def _add_teacher(self, name: str) -> None:
        teacher, run = self._experiment.teachers[name], self._runs.teacher(name)
        training = None if teacher.checkpoint else self._runs.teacher_training(name)
        network = Network(run, teacher.arch, teacher.data_set, teacher.channels, training)
        self._teachers[name] = network
        names = _protocols_of_teacher(self._experiment, name)
        self._rows.append(
            Row(
                table="teachers",
                pair="",
                method="",
                title=f"{name} ({teacher.arch})" if name != teacher.arch else name,
                variant={},
                seed=teacher.seed,
                classifies=True,
                run=run.location,
                evaluations=self._evaluations.add(network, network, names),
                teacher=run.location,
            )
        )

    def _add_ablation(self, name: str, ablation: Ablation, path: KeyPath) -> None:
        """Add every variant; lists of pairs and methods are axes of their own."""
        for pair, method in itertools.product(ablation.pairs, ablation.methods):
            names = {
                **({"pair": pair} if len(ablation.pairs) > 1 else {}),
                **({"method": method} if len(ablation.methods) > 1 else {}),
            }
            for variant in variants_of(ablation, (*path, "vary")):
                student = resolve(self._experiment, self._runs.data_sets, pair, method, variant)
                # What a study varies is the same for all methods, whether it changes them or not.
                if path[0] == "ablations":
                    effects.require_effect(variant.override, variant.path, [student])
                choice = self._tunings.choice(pair, method, variant)
                settings = {**names, **variant.settings}
                self._shown.append(Shown(name, student, settings))
                for seed in ablation.seeds or self._seeds(pair):
                    self._add_student(name, student, choice, settings, seed, ablation.protocols)

    def _add_student(
        self,
        table: str,
        student: Student,
        choice: Choice | None,
        variant: dict[str, Any],
        seed: int,
        protocols: tuple[str, ...],
    ) -> None:
        run = self._runs.student(student, seed, choice)
        teacher = self._teachers[student.teachers[0]]
        network = Network(
            run,
            student.pair.student,
            student.data,
            student.pair.channels,
            student.training,
            student.method_modules,
        )
        if student.method.section and student.method.section not in self._sections:
            self._sections.append(student.method.section)
        self._rows.append(
            Row(
                table=table,
                pair=student.pair_id,
                method=student.entry_id,
                title=student.title,
                variant=variant,
                seed=seed,
                classifies=student.trains_classifier,
                run=run.location,
                evaluations=self._evaluations.add(network, teacher, protocols),
                teacher=teacher.run.location,
            )
        )

    def _seeds(self, pair: str) -> tuple[int, ...]:
        return self._experiment.pairs[pair].seeds or self._experiment.seeds


def _protocols_of_student(experiment: Experiment, student: Student, seed: int) -> tuple[str, ...]:
    """Return the protocols that are run on a student of the comparison."""
    return tuple(
        name
        for name, entry in experiment.protocols.items()
        if entry.covers(student.pair_id, student.entry_id, seed)
    )


def _protocols_of_teacher(experiment: Experiment, teacher: str) -> tuple[str, ...]:
    """Return the protocols of the pairs that the teacher has in the comparison."""
    taught = {
        name
        for name, pair in experiment.pairs.items()
        if teacher in pair.teachers
        and any(experiment.compares(name, entry) for entry in experiment.methods)
    }
    return tuple(
        name
        for name, entry in experiment.protocols.items()
        if taught & set(taught if entry.pairs is None else entry.pairs)
    )
