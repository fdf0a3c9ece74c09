"""Settings of the report: titles, labels of pairs, axes of ablations, and sections."""

from __future__ import annotations

from collections.abc import Iterable

from distillery.experiment.experiment import Experiment
from distillery.experiment.pairs import Pair
from distillery.planning.published import published
from distillery.planning.runs import Runs
from distillery.planning.students import Student
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
    runs: Runs,
    method_sections: Iterable[str],
    students: Iterable[Student],
) -> ReportSettings:
    """Return what the report is made with, beside the results.

    Args:
        experiment: the experiment.
        runs: those that it needs.
        method_sections: names of the sections that its methods ask for.
        students: the students of the comparison.
    """
    return ReportSettings(
        name=experiment.name,
        title=experiment.title,
        description=experiment.description,
        folder=experiment.report_folder,
        timings=experiment.report.timings,
        baseline=experiment.report.baseline,
        pairs={
            name: PairSettings(
                teacher=pair.teachers[0],
                teacher_arch=_teachers_label(experiment, pair),
                student_arch=pair.student,
            )
            for name, pair in experiment.pairs.items()
        },
        ablations={
            name: AblationSettings(title=ablation.title or name, axes=axes_of(ablation))
            for name, ablation in experiment.ablations.items()
        },
        sections=_section_settings(experiment, method_sections),
        claims=tuple(
            ClaimSettings(better=claim.better, worse=claim.worse, text=claim.text)
            for claim in experiment.report.claims
        ),
        published=published(experiment, runs, students),
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
