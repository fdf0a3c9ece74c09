"""The page of a report: one file that holds everything it shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from distillery.reporting import files, tables
from distillery.reporting.formatting import counted
from distillery.reporting.results import Results

if TYPE_CHECKING:
    from distillery.reporting.drawing import Drawing
    from distillery.reporting.table import Table


def render(
    results: Results,
    written: Mapping[str, Table],
    drawings: Iterable[tuple[Drawing, str]],
    *,
    key: str,
    collected: str,
) -> str:
    """Return the page.

    Args:
        results: what the report is about.
        written: its tables by name.
        drawings: its figures, each with its SVG.
        key: key of the report.
        collected: key of the run that collected the results.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("distillery.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    adopted = results.runs.loc[results.runs["adopted"], "key"].nunique()
    return environment.get_template("index.html.j2").render(
        report=results.report,
        tables=written,
        figures={drawing.name: (drawing, inlined(svg, drawing)) for drawing, svg in drawings},
        gains=tables.gains(results),
        runs=tables.runs(results),
        metrics=results.metrics,
        networks=counted(results.runs["key"].nunique(), "run"),
        adopted=counted(adopted, "run") if adopted else "",
        single=results.summary["n"].max() <= 1,
        key=key,
        collected=collected,
        files=files,
    )


def inlined(svg: str, drawing: Drawing) -> str:
    """Return an SVG file as part of a page: without prolog, and with ids of its own."""
    drawn = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg[svg.index("<svg") :])
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{drawing.name}-", drawn)
    return drawn.replace("<svg", f'<svg role="img" aria-labelledby="caption-{drawing.name}"', 1)
