"""The digest of raw files: what changes it, and what is read to find out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_samples import pack, write_files

from distillery.core.errors import UserError
from distillery.data import contents
from distillery.data.contents import contents_of, digest_of
from distillery.data.settings import Source

Read = list[str]


@pytest.fixture
def folder(data_root: Path) -> Path:
    return write_files(data_root / "raw" / "set", {"a/1": b"one", "a/2": b"two", "b/1": b"one"})


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Record which files are read; all that there are count as old enough to be trusted."""
    found: Read = []
    original = contents.checksums

    def recorded(files: list[str]) -> Iterator[str]:
        found.extend(files)
        return original(files)

    monkeypatch.setattr(contents, "checksums", recorded)
    monkeypatch.setattr(contents, "_TICK_NS", -(10**12))
    return found


def test_what_stays_as_it_is_is_read_once(folder: Path, data_root: Path, read: Read) -> None:
    digest = digest_of(folder, data_root)
    assert len(read) == 3
    assert digest_of(folder, data_root) == digest
    assert len(read) == 3
    assert digest_of(folder, data_root, afresh=True) == digest
    assert len(read) == 6


def test_a_touched_file_is_read_again_and_changes_nothing(
    folder: Path, data_root: Path, read: Read
) -> None:
    digest = digest_of(folder, data_root)
    read.clear()
    os.utime(folder / "a" / "1")
    assert digest_of(folder, data_root) == digest
    assert read == [str(folder / "a" / "1")]


def test_other_content_of_the_same_size_and_time_is_noticed(
    folder: Path, data_root: Path, read: Read
) -> None:
    file, digest = folder / "a" / "1", digest_of(folder, data_root)
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_bytes(b"eno")
    os.utime(file, ns=times)
    assert digest_of(folder, data_root) != digest


@pytest.mark.parametrize("change", ["added", "removed", "renamed"])
def test_other_files_are_noticed(folder: Path, data_root: Path, change: str) -> None:
    digest = digest_of(folder, data_root)
    if change == "added":
        (folder / "b" / "2").write_bytes(b"")
    elif change == "removed":
        (folder / "b" / "1").unlink()
    else:
        (folder / "b" / "1").rename(folder / "b" / "2")
    assert digest_of(folder, data_root) != digest


def test_place_and_rubbish_do_not_matter(folder: Path, data_root: Path, tmp_path: Path) -> None:
    digest = digest_of(folder, data_root)
    (folder / ".hidden").write_bytes(b"x")
    (folder / "a" / "Thumbs.db").write_bytes(b"x")
    assert digest_of(folder, data_root) == digest
    assert digest_of(shutil.copytree(folder, tmp_path / "elsewhere"), data_root) == digest


def test_a_file_that_has_just_changed_is_not_trusted(folder: Path, data_root: Path) -> None:
    """Its times may stay as they are when it changes again."""
    digest_of(folder, data_root)
    (kept,) = (data_root / ".cache" / "raw").iterdir()
    assert '"is_settled": false' in kept.read_text()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\n", b'{"digest": 1}\n[]'])
def test_a_damaged_record_is_made_anew(folder: Path, data_root: Path, content: bytes) -> None:
    digest = digest_of(folder, data_root)
    (kept,) = (data_root / ".cache" / "raw").iterdir()
    kept.write_bytes(content)
    assert digest_of(folder, data_root) == digest


def test_a_pinned_checksum_is_compared(folder: Path, data_root: Path) -> None:
    archive = pack(folder, data_root / "raw" / "set.tar.gz")
    digest = digest_of(archive, data_root)

    def found(path: Path, sha256: str) -> str | None:
        source = Source(source="image-folder", path=path.name, sha256=sha256)
        return contents_of(source.whereabouts, path, data_root)

    assert found(archive, digest) == digest
    with pytest.raises(UserError, match=f"set.tar.gz: its sha256 is {digest} instead of 000"):
        found(archive, "0" * 64)
    with pytest.raises(UserError, match="a folder has no sha256"):
        found(folder, digest)


def test_what_its_authors_publish_has_no_digest_of_its_own(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it is the same before it is downloaded and after."""
    path = write_files(data_root / "raw" / "svhn", {"train_32x32.mat": b"one", "note": b"x"})
    monkeypatch.setattr(
        "distillery.data.sources.svhn.published",
        lambda: {"train_32x32.mat": "f97c5d29941bfb1b2fdab0874906ab82"},
    )
    source = Source(source="svhn").whereabouts
    assert contents_of(source, path, data_root) is None
    (path / "train_32x32.mat").write_bytes(b"two")
    assert contents_of(source, path, data_root) == digest_of(path, data_root)


def test_an_unreadable_file_is_named(folder: Path, data_root: Path) -> None:
    (folder / "a" / "1").unlink()
    (folder / "a" / "1").symlink_to(folder / "nowhere")
    with pytest.raises(UserError, match="set/a/1: cannot be read"):
        digest_of(folder, data_root)
