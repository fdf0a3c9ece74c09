"""The files that a report consists of: Snakemake declares them before anything is computed."""

from __future__ import annotations

import re

from distillery.reporting.settings import ReportSettings

PAGE = "index.html"
METRICS = "metrics.json"
RUNS = "tables/runs.csv"
FINDINGS = "findings.md"
PLOTS = "plots.html"
TABLE_FORMATS = ("csv", "md", "tex", "tabular.tex")
FIGURE_FORMATS = ("svg", "pdf", "png")

_TABLES = (
    *("main", "ranks", "differences", "teachers", "evaluation"),
    *("settings", "entries", "networks", "provenance"),
)
_CLAIMS = "claims"
_PUBLISHED = "published"
_COST = "cost"
_PAPER = "paper-"
_FIGURES = ("accuracy", "differences", "ranks", "learning-curves", "size")
_ABLATION = "ablation-"
_SECTION = "section-"


def expected(report: ReportSettings) -> list[str]:
    """Return every file of the report, relative to its folder; the page comes last."""
    ablations = [f"{_ABLATION}{name}" for name in report.ablations]
    tables = [
        *_TABLES,
        *([_CLAIMS] if report.claims else []),
        *([_PUBLISHED] if report.published.numbers else []),
        *(paper(table.name) for table in report.published.tables),
        *ablations,
        *([_COST] if report.timings else []),
    ]
    figures = [*_FIGURES, *([_COST] if report.timings else []), *ablations]
    for entry, settings in report.sections.items():
        tables += [section(entry, suffix) for suffix in settings.tables]
        figures += [section(entry, suffix) for suffix in settings.figures]
    return [
        *(table_file(name, suffix) for name in tables for suffix in TABLE_FORMATS),
        RUNS,
        *(figure_file(name, suffix) for name in figures for suffix in FIGURE_FORMATS),
        METRICS,
        FINDINGS,
        PLOTS,
        PAGE,
    ]


def table_file(name: str, suffix: str) -> str:
    """Return the place of a table in one format."""
    return f"tables/{name}.{suffix}"


def figure_file(name: str, suffix: str) -> str:
    """Return the place of a figure in one format."""
    return f"figures/{name}.{suffix}"


def ablation(name: str) -> str:
    """Return the name of an ablation's table and figure."""
    return f"{_ABLATION}{name}"


def paper(name: str) -> str:
    """Return the name of a table in the rows and columns of a paper's."""
    return f"{_PAPER}{name}"


def section(entry: str, suffix: str = "") -> str:
    """Return the name of a table or figure of a section."""
    return f"{_SECTION}{entry}-{suffix}" if suffix else f"{_SECTION}{entry}"


def is_disposable(file: str) -> bool:
    """Tell whether ``file`` is one that a report of some settings writes, and not the user's."""
    tables, figures = (
        "|".join((*_TABLES, _CLAIMS, _PUBLISHED, _COST)),
        "|".join((*_FIGURES, _COST)),
    )
    formats = "|".join(map(re.escape, TABLE_FORMATS))
    kinds = (
        rf"tables/(({tables}|{_ABLATION}.+|{_SECTION}.+|{_PAPER}.+)\.({formats})|runs\.csv)",
        rf"figures/({figures}|{_ABLATION}.+|{_SECTION}.+)\.({'|'.join(FIGURE_FORMATS)})",
    )
    return any(re.fullmatch(kind, file) for kind in kinds)
