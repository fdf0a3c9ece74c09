"""The sections of the page and its side menu: by what they are about, then by paper."""

from __future__ import annotations

from dataclasses import dataclass

from distillery.reporting import files
from distillery.reporting.results.collected import Results


@dataclass(frozen=True)
class Part:
    """A section of the page.

    Attributes:
        id: its anchor.
        title: its heading.
        kind: ``ablation``, ``section``, or the name of a part of every report.
        entry: id of the ablation or of the section's entry.
    """

    id: str
    title: str
    kind: str
    entry: str = ""


@dataclass(frozen=True)
class Chapter:
    """Sections that belong together, under one word of the menu."""

    title: str
    parts: tuple[Part, ...]


def chapters(results: Results) -> list[Chapter]:
    """Return the chapters of a page, in their order."""
    report = results.report
    against = "size and cost" if report.timings else "size"
    comparison = [
        ("results", "Results"),
        ("statistics", "Statistics"),
        ("curves", "Learning curves"),
    ]
    comparison += [("trade-off", f"Accuracy against {against}"), ("teachers", "Teachers")]
    comparison += [("evaluation", "Evaluation")] if results.metrics else []
    comparison += [("cost", "Cost")] if report.timings else []
    found = [
        Chapter("The answer", _fixed(("findings", "Findings"), ("setup", "What was run"))),
        Chapter("The comparison", _fixed(*comparison)),
    ]
    by_paper: dict[str, list[Part]] = {"": []}
    for name, ablation in report.ablations.items():
        part = Part(files.ablation(name), ablation.title, "ablation", name)
        by_paper.setdefault(ablation.paper, []).append(part)
    protocols: list[Part] = []
    for name, section in report.sections.items():
        part = Part(f"section-{name}", section.title, "section", name)
        (by_paper.setdefault(section.paper, []) if section.paper else protocols).append(part)
    if protocols:
        found.append(Chapter("Protocols", tuple(protocols)))
    for paper, parts in by_paper.items():
        if parts:
            found.append(Chapter(paper or "Ablations of several methods", tuple(parts)))
    return [*found, Chapter("Behind it", _fixed(("methods", "Methods"), ("runs", "Runs")))]


def _fixed(*parts: tuple[str, str]) -> tuple[Part, ...]:
    return tuple(Part(id_, title, id_) for id_, title in parts)
