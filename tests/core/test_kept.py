"""What is kept comes back to the bit, or not at all."""

from pathlib import Path

import pytest

from distillery.core.kept import keep, kept

CONTENT = b'{"lr": 0.05}\n{}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    keep(tmp_path / "some" / "file", "a plan", CONTENT)
    return tmp_path / "some" / "file"


def test_what_is_kept_comes_back(file: Path) -> None:
    assert kept(file, "a plan") == CONTENT
    assert kept(file, "another plan") is None
    assert kept(file.parent / "none", "a plan") is None


def test_no_flipped_bit_and_no_cut_is_believed(file: Path) -> None:
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)
        assert kept(file, "a plan") is None, bit
        file.write_bytes(whole[: bit // 8])
        assert kept(file, "a plan") is None, bit


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    keep(tmp_path / "file" / "x", "a plan", CONTENT)
    assert kept(tmp_path / "file" / "x", "a plan") is None
