"""Builds a report: tables, figures, metrics and the page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery.reporting import drawing, figures, files, page, rendering, tables
from distillery.reporting.results import TEACHER, Results, records
from distillery.runs.artifacts import Artifact


def build(report: Mapping[str, Any], key: str, collected: Artifact, folder: Path) -> None:
    """Write the report of collected results into ``folder``.

    The same input gives the same bytes. Each file is replaced as a whole, the page last.

    Args:
        report: the report's settings, as the plan has them.
        key: key of the report, which it shows.
        collected: run of the stage ``collect``.
        folder: where to write. Tables and figures of an earlier report are removed.

    Raises:
        DamagedArtifact: the results do not match their manifest.
    """
    results = Results.read(report, collected)
    expected = files.expected(report)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, so that files can be renamed into it.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft:
        _write(results, key, collected.key, Path(draft))
        for name in expected:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Path(draft, name).replace(folder / name)
    _remove_outdated(folder, set(expected))


def _write(results: Results, key: str, collected: str, folder: Path) -> None:
    for name in ("tables", "figures"):
        (folder / name).mkdir()
    written = tables.all_tables(results)
    for name, table in written.items():
        for suffix in files.TABLE_FORMATS:
            _put(folder, files.table_file(name, suffix), rendering.FORMATS[suffix](table))
    _put(folder, files.RUNS, rendering.to_csv(tables.runs(results)))
    drawings = []
    with drawing.theme():
        for drawn in figures.all_figures(results):
            drawing.save(drawn, folder)
            svg = Path(folder, files.figure_file(drawn.name, "svg")).read_text(encoding="utf-8")
            drawings.append((drawn, svg))
    _put(folder, files.METRICS, json.dumps(_metrics(results), indent=2) + "\n")
    text = page.render(results, written, drawings, key=key, collected=collected)
    _put(folder, files.PAGE, text)


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
