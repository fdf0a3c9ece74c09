"""Builds the document of a report that lies in its folder."""

from __future__ import annotations

from pathlib import Path

from distillery.reporting.findings.all import findings
from distillery.reporting.page.publish import captions, is_of, publish
from distillery.reporting.results.collected import Results
from distillery.reporting.settings import ReportSettings
from distillery.reporting.thesis import document
from distillery.runs.artifact import open_input


def build(report: ReportSettings, key: str, collected: str, data: Path, methods: str) -> Path:
    """Write the document of an experiment and return its main file; build its report if need be.

    Results that were not collected, or do not match their manifest, are errors of ``open_input``.

    Args:
        report: the report's settings.
        key: key of the report.
        collected: location of the run of the stage ``collect``.
        data: the data folder.
        methods: the appendix, as LaTeX.
    """
    artifact = open_input(data, collected)
    if not (is_of(data, report.folder, key, artifact) and captions(data, report.folder)):
        publish(report, key, collected, data)
    results = Results.read(report, artifact)
    found = [finding.text for finding in findings(results)]
    known = captions(data, report.folder)
    return document.write(report, found, known, methods, Path(report.folder))
