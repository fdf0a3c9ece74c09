"""Builds a report: tables, figures, metrics and the page."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from distillery.reporting import files
from distillery.reporting.figures import ablation as ablation_figure
from distillery.reporting.figures import trade_offs
from distillery.reporting.figures.comparison import accuracy
from distillery.reporting.figures.differences import differences
from distillery.reporting.figures.learning_curves import learning_curves
from distillery.reporting.figures.model import Caption, ReportFigure, save
from distillery.reporting.figures.ranks import ranks
from distillery.reporting.figures.style import make_styles, theme
from distillery.reporting.findings.all import findings, to_markdown
from distillery.reporting.formatting import of_one_seed
from distillery.reporting.page import html
from distillery.reporting.page.elsewhere import dvc_template
from distillery.reporting.results.collected import TEACHER, Results, records
from distillery.reporting.results.doubts import doubts
from distillery.reporting.sections import registry as sections
from distillery.reporting.settings import ReportSettings
from distillery.reporting.tables import comparisons, papers, setup, standard, writing
from distillery.reporting.tables.model import Table
from distillery.runs.artifact import Artifact


def build(
    report: ReportSettings, key: str, collected: Artifact, folder: Path
) -> dict[str, Caption]:
    """Write the report of collected results into ``folder``; return file -> caption.

    The files with captions are the figures as SVG and the tables as CSV.

    The same input gives the same bytes. Each file is replaced as a whole, the page last; if the
    results do not match their manifest, nothing is.

    Args:
        report: the report's settings, as the plan has them.
        key: key of the report, which it shows.
        collected: run of the stage ``collect``.
        folder: where to write. Tables and figures of an earlier report are removed.
    """
    results = Results.read(report, collected)
    for doubt in doubts(results):
        print(f"distillery: {doubt}", file=sys.stderr)
    expected = files.expected(report)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, so that files can be renamed into it.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft:
        captions = _write(results, key, collected.key, Path(draft))
        for name in expected:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Path(draft, name).replace(folder / name)
    _remove_outdated(folder, set(expected))
    return captions


def all_tables(results: Results) -> dict[str, Table]:
    """Return every table that is written as .csv, .md and .tex, by name."""
    report = results.report
    tables = [standard.main(results), standard.teachers(results), standard.evaluation(results)]
    tables += [setup.settings(results), setup.entries(results), setup.networks(results)]
    tables.append(setup.provenance(results))
    tables += [comparisons.ranks(results), comparisons.differences(results)]
    if report.claims:
        tables.append(comparisons.claims(results))
    if report.published.numbers:
        tables.append(comparisons.published(results))
    tables += [papers.paper_table(results, table) for table in report.published.tables]
    tables += [standard.ablation(results, name) for name in report.ablations]
    for entry, settings in report.sections.items():
        tables += sections.load(settings.module).tables(results, entry)
    if report.timings:
        tables.append(standard.cost(results))
    return {table.name: _completed(table, results) for table in tables}


def all_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield every figure of the report; to be drawn inside ``figures.style.theme``."""
    for figure in _drawn(results):
        if results.is_single:
            figure = replace(figure, caption=of_one_seed(figure.caption))
        yield figure


def _drawn(results: Results) -> Iterator[ReportFigure]:
    report, styles = results.report, make_styles(results.labels, results.baseline)
    yield accuracy(results, styles)
    yield differences(results, styles)
    yield ranks(results, styles)
    yield learning_curves(results, styles)
    yield trade_offs.size(results, styles)
    if report.timings:
        yield trade_offs.cost(results, styles)
    for name in report.ablations:
        yield ablation_figure.draw(results, name, styles)
    for entry, settings in report.sections.items():
        yield from sections.load(settings.module).figures(results, entry, styles)


def _completed(table: Table, results: Results) -> Table:
    """Return a table that knows its experiment, and says where it has one seed of each network."""
    known = replace(table, experiment=results.report.name)
    if "n" not in table.data or not len(table.data) or table.data["n"].max() > 1:
        return known
    notes = tuple(map(of_one_seed, table.notes))
    return replace(known, caption=of_one_seed(table.caption), notes=notes)


def _write(results: Results, key: str, collected: str, folder: Path) -> dict[str, Caption]:
    for name in ("tables", "figures"):
        (folder / name).mkdir()
    tables = all_tables(results)
    for name, table in tables.items():
        for suffix in files.TABLE_FORMATS:
            _put(folder, files.table_file(name, suffix), writing.FORMATS[suffix](table))
    _put(folder, files.RUNS, writing.to_csv(standard.runs(results)))
    found = findings(results)
    _put(folder, files.FINDINGS, to_markdown(results, found))
    drawn = []
    with theme():
        for figure in all_figures(results):
            save(figure, folder)
            svg = Path(folder, files.figure_file(figure.name, "svg")).read_text(encoding="utf-8")
            drawn.append((figure, svg))
    _put(folder, files.METRICS, json.dumps(_metrics(results), indent=2) + "\n")
    text = html.render(results, found, tables, drawn, key=key, collected=collected)
    _put(folder, files.PAGE, text)
    captions = {figure.name: figure.caption for figure, _ in drawn}
    _put(folder, files.PLOTS, dvc_template(results.report.title, results.report.folder, captions))
    said = {
        files.figure_file(figure.name, "svg"): Caption(figure.caption, figure.is_illustration)
        for figure, _ in drawn
    }
    for name, table in tables.items():
        said[files.table_file(name, "csv")] = Caption(" ".join([table.caption, *table.notes]))
    return said


def _metrics(results: Results) -> dict[str, dict[str, float]]:
    """Return the main table for ``dvc metrics``: pair -> method -> accuracy in percent."""
    metrics: dict[str, dict[str, float]] = {pair: {} for pair in results.compared}
    for row in records(results.summary[results.summary["n"] > 0]):
        pair, method = row.Index
        metrics[pair]["teacher" if method == TEACHER else method] = round(row.mean, 4)
    return metrics


def _put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _remove_outdated(folder: Path, expected: set[str]) -> None:
    """Remove what an earlier report of other settings left, and nothing else."""
    for path in [*folder.glob("tables/*"), *folder.glob("figures/*")]:
        name = path.relative_to(folder).as_posix()
        if name not in expected and files.is_disposable(name):
            path.unlink()
