"""Settings of the report: titles, labels of pairs, axes of ablations, and sections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from distillery.evaluation import registry as protocols
from distillery.evaluation.base import Protocol
from distillery.experiment.experiment import Experiment
from distillery.experiment.pairs import Pair
from distillery.methods import registry as methods
from distillery.planning.data_sets import DataSets
from distillery.planning.entries import entry_settings
from distillery.planning.paper_tables import MAIN, Shown, paper_tables
from distillery.planning.published import published
from distillery.planning.runs import Runs
from distillery.planning.variants import axes_of, study_of
from distillery.reporting.results.collect import TUNING
from distillery.reporting.sections import registry as sections
from distillery.reporting.settings import (
    AblationSettings,
    ClaimSettings,
    PairSettings,
    ReportSettings,
    SectionSettings,
)


def report_settings(
    experiment: Experiment,
    file: Path,
    runs: Runs,
    method_sections: Iterable[str],
    shown: Sequence[Shown],
) -> ReportSettings:
    """Return what the report is made with, beside the results.

    Args:
        experiment: the experiment.
        file: its params file.
        runs: those that it needs.
        method_sections: names of the sections that its methods ask for.
        shown: the students of the comparison and of all ablations.
    """
    students = [each.student for each in shown if each.table == MAIN]
    return ReportSettings(
        name=experiment.name,
        title=experiment.title,
        description=experiment.description,
        folder=experiment.report_folder,
        params=_shown(file),
        timings=experiment.report.timings,
        baseline=experiment.report.baseline,
        pairs={
            name: PairSettings(
                teacher=pair.teachers[0],
                teacher_arch=_teachers_label(experiment, pair),
                student_arch=pair.student,
                **_parameters(experiment, runs.data_sets, pair),
            )
            for name, pair in experiment.pairs.items()
        },
        entries=entry_settings(experiment, students),
        headings=_headings(experiment),
        ablations={
            name: AblationSettings(
                title=ablation.title or name,
                axes=axes_of(ablation),
                paper=_paper(experiment, ablation.methods),
            )
            for name, ablation in experiment.ablations.items()
        },
        sections=_section_settings(experiment, method_sections),
        claims=tuple(
            ClaimSettings(better=claim.better, worse=claim.worse, text=claim.text)
            for claim in experiment.report.claims
        ),
        published=published(experiment, runs, students, paper_tables(experiment, runs, shown)),
    )


def _teachers_label(experiment: Experiment, pair: Pair) -> str:
    """Name a pair's teachers, with their data set where teachers have several."""
    archs = [experiment.teachers[name].arch for name in pair.teachers]
    counted = {arch: archs.count(arch) for arch in archs}
    label = " + ".join(f"{n} {arch}" if n > 1 else arch for arch, n in counted.items())
    if len({teacher.data_set for teacher in experiment.teachers.values()}) == 1:
        return label
    data = experiment.teachers[pair.teachers[0]].data_set or experiment.data.source
    return f"{data}: {label}"


def _shown(file: Path) -> str:
    """Return the params file as commands name it: where else it lies is no part of a report."""
    inside = file.is_absolute() and file.is_relative_to(Path.cwd())
    relative = file.relative_to(Path.cwd()) if inside else file
    return relative.name if relative.is_absolute() else relative.as_posix()


def _parameters(experiment: Experiment, data_sets: DataSets, pair: Pair) -> dict[str, int | None]:
    """Return the numbers of parameters of a pair's networks, as far as the plan knows them."""
    teachers = [experiment.teachers[name] for name in pair.teachers]
    data = teachers[0].data_set
    if data_sets.settings(data).facts.num_classes is None and not data_sets.per_class(data):
        return {}
    specs = [data_sets.spec(each.arch, each.data_set, each.channels) for each in teachers]
    student = data_sets.spec(pair.student, data, pair.channels)
    return {
        "teacher_parameters": sum(spec.parameters for spec in specs),
        "student_parameters": student.parameters,
    }


def _headings(experiment: Experiment) -> dict[str, str]:
    """Return what tables call the metrics of the protocols that say so."""
    found: dict[str, str] = {}
    for name, entry in experiment.protocols.items():
        protocol = protocols.load(entry.protocol or name)
        if issubclass(protocol, Protocol):
            found |= {f"{name}/{metric}": text for metric, text in protocol.headings.items()}
    return found


def _paper(experiment: Experiment, entries: Sequence[str]) -> str:
    """Return the work that a method is of; empty where there are several."""
    works = {_work(experiment.methods[entry].method or entry) for entry in entries}
    return works.pop() if len(works) == 1 else ""


def _work(method: str) -> str:
    """Return a method and its work: ``source`` up to where it says what else is from whom."""
    kind = methods.load(method)
    return f"{kind.title} ({kind.source.partition(';')[0].partition(':')[0]})"


def _section_settings(
    experiment: Experiment, method_sections: Iterable[str]
) -> dict[str, SectionSettings]:
    """Return the report's further sections: of the protocols, then of the methods."""
    wanted = {
        name: (entry.protocol or name, entry.title) for name, entry in experiment.protocols.items()
    }
    wanted.update({name: (name, None) for name in method_sections})
    known = sections.names()
    settings = {}
    for name, (module, title) in wanted.items():
        if module in known:
            section = sections.load(module)
            entry = experiment.protocols.get(name)
            study = study_of(name, entry, experiment) if entry else None
            settings[name] = SectionSettings(
                module=module,
                title=title or section.title,
                tables=section.table_suffixes,
                figures=section.figure_suffixes,
                axes=axes_of(study) if study else (),
                paper=_paper(experiment, _logging(experiment, name)) if entry is None else "",
            )
    if experiment.tuning:
        section = sections.load(TUNING)
        settings[TUNING] = SectionSettings(
            module=TUNING,
            title=section.title,
            tables=section.table_suffixes,
            # A figure for each method entry.
            figures=tuple(experiment.tuning.methods),
            axes=(),
        )
    return settings


def _logging(experiment: Experiment, section: str) -> list[str]:
    """Return the method entries whose methods log what a section shows."""
    return [
        name
        for name, entry in experiment.methods.items()
        if methods.load(entry.method or name).section == section
    ]
