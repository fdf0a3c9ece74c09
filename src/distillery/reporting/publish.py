"""Puts an experiment's report into its folder, and notes which report lies there.

Reports have fixed names, so their presence does not tell whether they are current. A marker named
by the report's key does: ``data/.reports/<folder>/<key>.json``; there is one a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery.planning.plan import Plan
from distillery.runs.artifacts import checksum, open_input, write_atomically


def marker(data: Path, folder: str, key: str) -> Path:
    """Return the file that says that ``folder`` holds the report with this key."""
    return data / ".reports" / folder.replace("/", "--") / f"{key}.json"


def publish(plan: Plan, data: Path) -> Path:
    """Build the report of an experiment and return its page.

    Raises:
        UserError: the results have not been collected.
        DamagedArtifact: they do not match their manifest.
    """
    from distillery.reporting import report

    folder = Path(plan.report["folder"])
    report.build(plan.report, plan.report_key, open_input(data, plan.collected), folder)
    note = marker(data, plan.report["folder"], plan.report_key)
    if note.parent.is_dir():
        for outdated in note.parent.glob("*.json"):
            outdated.unlink()
    write_atomically(note, _content(plan.report, folder))
    return folder / "index.html"


def _content(settings: Mapping[str, Any], folder: Path) -> bytes:
    import json

    from distillery.reporting.files import expected

    sums = {name: checksum(folder / name) for name in expected(settings)}
    return f"{json.dumps(sums, indent=2)}\n".encode()
