"""Puts an experiment's report into its folder, and notes which report lies there.

Reports have fixed names, so their presence does not tell whether they are current. A marker named
by the report's key does: ``data/.reports/<folder>/<key>.json``; there is one a folder.
"""

from __future__ import annotations

import json
from pathlib import Path

from distillery.core.files import checksum, write_atomically
from distillery.reporting.files import PAGE, expected
from distillery.reporting.settings import ReportSettings
from distillery.runs.artifact import Artifact, open_input

_MARKERS = ".reports"
# No folder of a report has it in its name.
_SLASH = "--"
# What a marker says: the digest of the collected results, and the checksum of each file.
_COLLECTED, _FILES = "collected", "files"


def marker(data: Path, folder: str, key: str) -> Path:
    """Return the file that says that ``folder`` holds the report with this key."""
    return _notes(data, folder) / f"{key}.json"


def caption(data: Path, folder: str, file: str) -> Path:
    """Return what holds the caption of a figure or a table for Snakemake's own report."""
    return _notes(data, folder) / "captions" / f"{file}.rst"


def publish(report: ReportSettings, key: str, collected: str, data: Path) -> Path:
    """Build the report of an experiment and return its page.

    Results that were not collected, or do not match their manifest, are errors of ``open_input``.

    Args:
        report: the report's settings.
        key: key of the report.
        collected: location of the run of the stage ``collect``.
        data: the data folder.
    """
    from distillery.reporting.page import build, elsewhere

    folder, results = Path(report.folder), open_input(data, collected)
    captions = build.build(report, key, results, folder)
    for file, text in captions.items():
        write_atomically(caption(data, report.folder, file), elsewhere.restructured(text).encode())
    note = marker(data, report.folder, key)
    if note.parent.is_dir():
        for outdated in note.parent.glob("*.json"):
            outdated.unlink()
    sums = {name: checksum(folder / name) for name in expected(report)}
    content = {_COLLECTED: results.contents, _FILES: sums}
    write_atomically(note, f"{json.dumps(content, indent=2)}\n".encode())
    return folder / PAGE


def is_of(data: Path, folder: str, key: str, collected: Artifact) -> bool:
    """Tell whether the report with this key in ``folder`` shows what was collected last."""
    try:
        note = json.loads(marker(data, folder, key).read_text(encoding="utf-8"))
        return bool(note[_COLLECTED] == collected.contents)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def verify(data: Path) -> tuple[int, list[str]]:
    """Compare the files of the published reports with the checksums that their markers have.

    Args:
        data: the data folder; reports lie where they were written from here.

    Returns:
        How many reports were checked, and what is wrong, one line a problem.
    """
    notes = sorted(data.glob(f"{_MARKERS}/*/*.json"))
    return len(notes), [problem for note in notes for problem in _problems(note)]


def _notes(data: Path, folder: str) -> Path:
    """Return where everything lies that is known of the report in ``folder``."""
    return data / _MARKERS / folder.replace("/", _SLASH)


def _problems(note: Path) -> list[str]:
    folder = Path(note.parent.name.replace(_SLASH, "/"))
    remedy = f"delete {note} and run snakemake to make the report again"
    try:
        sums = json.loads(note.read_text(encoding="utf-8"))[_FILES]
        listed = {folder / name: str(wanted) for name, wanted in sums.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return [f"{note}: unreadable ({error}); {remedy}"]
    found = []
    for file, wanted in listed.items():
        if not file.is_file():
            found.append(f"{file}: missing; {remedy}")
        elif checksum(file) != wanted:
            found.append(f"{file}: content differs from the marker's checksum; {remedy}")
    return found
