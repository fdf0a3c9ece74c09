"""The page of a report: one file that holds everything it shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from distillery.reporting import files
from distillery.reporting.formatting import counted
from distillery.reporting.page.menu import chapters
from distillery.reporting.page.runs import runs_data
from distillery.reporting.page.templating import template
from distillery.reporting.results.collected import Results
from distillery.reporting.results.doubts import doubts
from distillery.reporting.sections import registry as sections
from distillery.reporting.tables import standard

if TYPE_CHECKING:
    from distillery.reporting.figures.model import ReportFigure
    from distillery.reporting.findings.model import Finding
    from distillery.reporting.tables.model import Table


def render(
    results: Results,
    findings: Sequence[Finding],
    tables: Mapping[str, Table],
    figures: Iterable[tuple[ReportFigure, str]],
    *,
    key: str,
    collected: str,
) -> str:
    """Return the page.

    Args:
        results: what the report is about.
        findings: what it found.
        tables: its tables by name.
        figures: its figures, each with its SVG.
        key: key of the report.
        collected: key of the run that collected the results.
    """
    adopted = results.runs.loc[results.runs["adopted"] != "", "key"].nunique()
    drawn = {figure.name: (figure, inlined(svg, figure.name)) for figure, svg in figures}
    return template("index.html.j2").render(
        results=results,
        report=results.report,
        chapters=chapters(results),
        findings=findings,
        counted=counted,
        tables=tables,
        figures=drawn,
        illustrations=[pair for pair in drawn.values() if pair[0].is_illustration],
        gains=standard.gains(results),
        runs_data=runs_data(results, standard.runs(results)),
        networks=counted(results.runs["key"].nunique(), "run"),
        adopted=counted(adopted, "run") if adopted else "",
        doubts=doubts(results),
        remarks=[
            remark
            for entry, settings in results.report.sections.items()
            for remark in sections.load(settings.module).remarks(results, entry)
        ],
        key=key,
        collected=collected,
        files=files,
    )


def inlined(svg: str, name: str) -> str:
    """Return an SVG file as part of a page: without prolog, and with ids of its own."""
    drawn = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg[svg.index("<svg") :])
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", drawn)
    return drawn.replace("<svg", f'<svg role="img" aria-labelledby="caption-{name}"', 1)
