from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_runs import make_run

from distillery.runs.artifact import MANIFEST, Artifact
from distillery.runs.comparison import difference
from distillery.runs.produce import Workspace, produce

NAN = float("nan")


def made(folder: Path, compute: Callable[[Workspace], None], processor: str = "one") -> Artifact:
    """Return a run that was computed on some processor."""
    path = produce(folder, make_run(), compute)
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["record"]["processor"] = processor
    (path / MANIFEST).write_text(json.dumps(manifest))
    return Artifact(path)


def table(values: list[float], origin: str = "", name: str = "a") -> Callable[[Workspace], None]:
    def write(work: Workspace) -> None:
        lists = pa.array([[value] for value in values], pa.list_(pa.float64(), 1))
        content = pa.table({name: lists, "text": [str(len(values))] * len(values)})
        pq.write_table(content.replace_schema_metadata({"origin": origin}), work.out / "t.parquet")

    return write


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (table([1.0, NAN], origin="elsewhere"), None),
        (table([1.0, 2.0]), "t.parquet: a is 2.0 and was nan"),
        (table([1.25, NAN]), "t.parquet: a is 1.25 and was 1.0"),
        (table([1.0]), "t.parquet: a is of length 1 and was of length 2"),
        (table([1.0, NAN], name="b"), "t.parquet: a is missing and was of length 2"),
        (lambda work: None, "t.parquet: is missing"),
    ],
)
def test_tables_are_compared_by_what_they_hold(
    tmp_path: Path, after: Callable[[Workspace], None], expected: str | None
) -> None:
    before = made(tmp_path / "old", table([1.0, NAN]))
    found = difference(before, made(tmp_path / "new", after))
    assert found == expected or (found and expected and found.startswith(expected))


def test_between_processors_a_table_without_metrics_may_differ_by_a_share(tmp_path: Path) -> None:
    """Of the largest number in the column, as small ones are differences of large ones."""
    before = made(tmp_path / "old", table([0.0, 100.0]))
    after = made(tmp_path / "new", table([0.5, 100.0]), processor="other")
    assert difference(before, after, 0.01) is None
    assert difference(before, after, 0.001) == "t.parquet: a is 0.5 and was 0.0"
    # On one processor there is no excuse.
    same = made(tmp_path / "same", table([0.5, 100.0]))
    assert difference(before, same, 0.01) == "t.parquet: a is 0.5 and was 0.0"


def test_a_file_that_is_no_table_is_compared_by_its_checksum(tmp_path: Path) -> None:
    runs = [
        made(tmp_path / text, lambda work, text=text: (work.out / "w").write_text(text))  # type: ignore[misc]
        for text in ("x", "y")
    ]
    sums = [run.manifest["files"]["w"]["sha256"] for run in runs]
    assert difference(*runs) == f"w: its sha256 is {sums[1]} and was {sums[0]}"
    assert difference(runs[0], runs[0]) is None
