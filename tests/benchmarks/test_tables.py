"""Tables are written and read back; a ratio that has fallen fails, one bad moment does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.check import lasting_shortfalls
from benchmarks.rows import Row, chosen, measures, ratio_row
from benchmarks.table import BEGIN, END, Block, documented, plain, put
from distillery.core.errors import UnknownName, UserError

RATIO = Row(label="slow / fast, a", value=2.0, target=None, note="cores")
SHARE = Row(label="share", value=4.0, target=5.0, note="", unit="%", at_most=True)
LARGE = Row(label="large", value=1234.5, target=None, spread=(1000.0, 2000.0))


def document(folder: Path, *blocks: tuple[str, list[Row]]) -> Path:
    path = folder / "performance.md"
    path.write_text(f"# Before\n\n{BEGIN}\n{END}\n\nAfter.\n", encoding="utf-8")
    for name, rows in blocks:
        put(path, Block(name, "A title", "a machine", tuple(rows)))
    return path


def returning(*attempts: list[Row]) -> Callable[..., list[Row]]:
    """Return a measure that finds something else every time."""
    left = iter(attempts)
    return lambda quick: next(left)


def with_value(row: Row, value: float) -> Row:
    return {**row, "value": value}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = document(tmp_path, ("steps", [RATIO, SHARE, LARGE]))
    read = documented(path, "steps")
    assert read == {"slow / fast, a": 2.0, "share": 4.0, "large": 1234.0}
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Before\n")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "| share | 4 % |  | ≤ 5 |  |" in text
    assert "| large | 1,234 | 1,000–2,000 |  |  |" in text


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    path = document(tmp_path, ("steps", [RATIO]), ("a-first", [SHARE]))
    once = path.read_text(encoding="utf-8")
    assert once.index("`a-first`") < once.index("`steps`")
    put(path, Block("steps", "A title", "a machine", (RATIO,)))
    assert path.read_text(encoding="utf-8") == once
    put(path, Block("steps", "A title", "a machine", (with_value(RATIO, 3.0),)))
    assert documented(path, "steps") == {"slow / fast, a": 3.0}
    assert documented(path, "a-first") == {"share": 4.0}


def test_a_document_without_a_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# Nothing\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"page\.md: lacks the lines"):
        put(path, Block("steps", "", "", (RATIO,)))
    with pytest.raises(UserError, match="no table of 'plan'"):
        documented(document(tmp_path, ("steps", [RATIO])), "plan")


@pytest.mark.parametrize(("row", "passing", "failing"), [(RATIO, 1.61, 1.59), (SHARE, 4.99, 5.01)])
def test_a_fifth_may_be_lost(tmp_path: Path, row: Row, passing: float, failing: float) -> None:
    path = document(tmp_path, ("steps", [row]))
    assert lasting_shortfalls(path, "steps", returning([with_value(row, passing)])) == []
    attempts = [[with_value(row, failing)]] * 3
    (line,) = lasting_shortfalls(path, "steps", returning(*attempts))
    assert line == f"{row['label']}: {failing:.3g}, documented is {row['value']:.3g}"


def test_a_doctored_table_fails_a_real_measure(tmp_path: Path) -> None:
    measure = measures()["augmentation"].measure
    (row,) = measure(quick=True)
    honest = document(tmp_path, ("augmentation", [with_value(row, row["value"] / 2)]))
    assert lasting_shortfalls(honest, "augmentation", measure) == []
    doctored = document(tmp_path, ("augmentation", [with_value(row, row["value"] * 10)]))
    assert len(lasting_shortfalls(doctored, "augmentation", measure)) == 1


def test_one_bad_moment_is_no_failure(tmp_path: Path) -> None:
    path = document(tmp_path, ("steps", [RATIO, SHARE]))
    slow = [with_value(RATIO, 1.0), SHARE]
    other = [RATIO, with_value(SHARE, 9.0)]
    assert lasting_shortfalls(path, "steps", returning(slow, other)) == []


def test_a_ratio_is_the_median_of_rounds() -> None:
    row = ratio_row("r", np.array([2.0, 6.0, 40.0]), np.array([1.0, 2.0, 4.0]), 1.5)
    assert row["value"] == 3.0
    assert row["spread"] == (2.5, 6.5)
    assert "≥ 1.5" in plain(Block("m", "t", "c", (row,)))


def test_measures_are_found_by_name() -> None:
    assert {"steps", "repdistiller", "startup"} <= measures().keys()
    assert "timing" not in measures()
    assert list(chosen(["steps"])) == ["steps"]
    assert "workflow" not in chosen([])
    with pytest.raises(UnknownName, match="unknown measure 'step'; did you mean 'steps'"):
        chosen(["step"])
