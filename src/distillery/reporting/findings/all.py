"""All findings of an experiment, the answer first, and how they are written as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from distillery.reporting.findings import comparison, others
from distillery.reporting.findings.model import Finding
from distillery.reporting.formatting import counted, markdown
from distillery.reporting.results.collected import Results

_PARTS = (
    comparison.best,
    comparison.over_baseline,
    others.claims,
    comparison.average_ranks,
    comparison.sizes,
    others.ablations,
    others.published,
)


def findings(results: Results) -> list[Finding]:
    """Return what the experiment found: the same results give the same sentences."""
    return [finding for part in _PARTS for finding in part(results)]


def to_markdown(results: Results, found: Sequence[Finding]) -> str:
    """Return the findings as a list, with the number of runs behind each."""
    lines = [
        f"- {markdown(finding.text)} ({counted(len(finding.runs), 'run')})" for finding in found
    ]
    return "\n".join([f"# {markdown(results.report.title)}", "", *lines, ""])
