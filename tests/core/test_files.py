from __future__ import annotations

from pathlib import Path

import pytest

from distillery.core.files import atomic_writer, checksum, write_atomically


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    write_atomically(path, b"old")
    with atomic_writer(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_what_could_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError), atomic_writer(path) as file:
        file.write(b"ne" + None)  # type: ignore[operator]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_checksum_is_a_sha256(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"abc")
    assert checksum(tmp_path / "file").startswith("ba7816bf8f01cfea")
