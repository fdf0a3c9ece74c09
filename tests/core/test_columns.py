"""Tables that lack what their readers look for cost one line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distillery.core.columns import read_columns, require_columns
from distillery.core.errors import DamagedArtifact


def test_columns_are_read(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"label": [1, 2], "other": [3, 4]}), file)
    assert read_columns(file, ("label",)).to_pydict() == {"label": [1, 2]}


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"label": [1]}), file)
    with pytest.raises(DamagedArtifact, match=r"x\.parquet: lacks the column logits, embedding$"):
        read_columns(file, ("label", "logits", "embedding"))
    with pytest.raises(DamagedArtifact, match="lacks the column index"):
        require_columns(file, ["label"], ("index", "label"))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"text" * 50])
def test_what_is_no_parquet_costs_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(content)
    with pytest.raises(DamagedArtifact) as error:
        read_columns(file, ("label",))
    assert str(error.value).startswith(f"{file}: cannot be read as Parquet (")
    assert "\n" not in str(error.value)
