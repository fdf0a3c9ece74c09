"""Reports that lie in their folders are held against the checksums of their markers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from distillery.core.files import checksum
from distillery.reporting.page import publish

KEY = "0123456789abcdef"


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a report with its marker; this process works beside it."""
    monkeypatch.chdir(tmp_path)
    folder = Path("reports/mine")
    (folder / "tables").mkdir(parents=True)
    for name in ("index.html", "tables/main.csv"):
        (folder / name).write_text(f"{name}: 71.5\n")
    note = publish.marker(Path("data"), "reports/mine", KEY)
    note.parent.mkdir(parents=True)
    sums = {name: checksum(folder / name) for name in ("index.html", "tables/main.csv")}
    note.write_text(json.dumps({"collected": "c0ffee", "files": sums}))
    return folder


def test_an_untouched_report_has_no_problem(report: Path) -> None:
    assert publish.verify(Path("data")) == (1, [])


def test_a_report_is_that_of_the_contents_that_were_collected(report: Path) -> None:
    found = [
        publish.is_of(Path("data"), folder, key, SimpleNamespace(contents=contents))  # type: ignore[arg-type]
        for folder, key, contents in (
            (str(report), KEY, "c0ffee"),
            (str(report), KEY, "other"),
            (str(report), "f" * 16, "c0ffee"),
            ("reports/other", KEY, "c0ffee"),
        )
    ]
    assert found == [True, False, False, False]


def test_every_flipped_bit_is_found(report: Path) -> None:
    for file in (report / "index.html", report / "tables/main.csv"):
        original = file.read_bytes()
        for bit in range(0, 8 * len(original), 7):
            flipped = bytearray(original)
            flipped[bit // 8] ^= 1 << bit % 8
            file.write_bytes(flipped)
            checked, (problem,) = publish.verify(Path("data"))
            assert checked == 1
            assert problem.startswith(f"{file}: content differs from the marker's checksum; delete")
        file.write_bytes(original)


def test_what_is_missing_or_cut_is_found(report: Path) -> None:
    (report / "index.html").write_text("")
    (report / "tables/main.csv").unlink()
    _, problems = publish.verify(Path("data"))
    assert [problem.split(": ")[1].split(";")[0] for problem in problems] == [
        "content differs from the marker's checksum",
        "missing",
    ]


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, "\x00"])
def test_a_damaged_marker_costs_one_line(report: Path, content: str) -> None:
    note = publish.marker(Path("data"), "reports/mine", KEY)
    note.write_text(content)
    _, (problem,) = publish.verify(Path("data"))
    assert problem.startswith(f"{note}: unreadable (")
    assert "\n" not in problem
