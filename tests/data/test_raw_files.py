import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_samples import pack, write_files

from distillery.core.errors import UserError
from distillery.data.files import RawFiles


@pytest.fixture
def raw(data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RawFiles]:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("DISTILLERY_DATA", str(tmp_path / "elsewhere"))
    with RawFiles.opened(data_root / "raw", tmp_path) as files:
        yield files


def test_data_raw_comes_before_the_folder_of_the_environment(
    raw: RawFiles, data_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere" / "set.zip").touch()
    assert raw.locate(["set.zip"]) == tmp_path / "elsewhere" / "set.zip"
    (data_root / "raw" / "set.zip").touch()
    assert raw.locate(["set.zip"]) == data_root / "raw" / "set.zip"


def test_earlier_places_come_first_wherever_they_lie(
    raw: RawFiles, data_root: Path, tmp_path: Path
) -> None:
    (data_root / "raw" / "set.zip").touch()
    (tmp_path / "elsewhere" / "set").mkdir()
    assert raw.locate(["set", "set.zip"]) == tmp_path / "elsewhere" / "set"


def test_absolute_paths_stand_for_themselves(raw: RawFiles, tmp_path: Path) -> None:
    (tmp_path / "set.zip").touch()
    assert raw.locate([str(tmp_path / "set.zip")]) == tmp_path / "set.zip"


def test_what_is_not_there(raw: RawFiles, data_root: Path, tmp_path: Path) -> None:
    assert raw.find(["set"]) is None
    with pytest.raises(UserError) as caught:
        raw.locate(["set", "set.zip"])
    folders = f"{data_root / 'raw'} or {tmp_path / 'elsewhere'}"
    assert str(caught.value) == f"set or set.zip: not found in {folders}"


def test_a_message_without_the_variable_says_so(data_root: Path, tmp_path: Path) -> None:
    with (
        RawFiles.opened(data_root / "raw", tmp_path) as files,
        pytest.raises(UserError, match=r"set: not found in .*raw \(DISTILLERY_DATA is not set\)"),
    ):
        files.locate(["set"])


def test_a_pipe_is_neither_a_file_nor_a_folder(raw: RawFiles, tmp_path: Path) -> None:
    """Whoever opens it waits for somebody to write into it."""
    folder = write_files(tmp_path / "set", {"a": b"one"})
    os.mkfifo(folder / "b.png")
    with pytest.raises(UserError, match=r"set/b\.png: not a regular file"):
        raw.tree(folder)
    with pytest.raises(UserError, match="neither a file nor a folder"):
        raw.locate([str(folder / "b.png")])


@pytest.mark.parametrize("suffix", ["", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_a_folder_and_its_archives_read_alike(raw: RawFiles, tmp_path: Path, suffix: str) -> None:
    files = {"b/2": b"two", "a/1": b"one", "a/.hidden": b"", ".git/x": b"", "__MACOSX/y": b""}
    folder = write_files(tmp_path / "set", files)
    (folder / "a" / "empty").mkdir()
    path = pack(folder, tmp_path / f"packed{suffix}") if suffix else folder
    tree = raw.tree(path).root("a")
    assert {name: tree.read(name) for name in tree.files} == {"a/1": b"one", "b/2": b"two"}
    assert list(tree.files) == ["a/1", "b/2"]
    assert tree.folders == {"a", "a/empty", "b"}
    assert tree.show("a/1") == (f"{path}:set/a/1" if suffix else f"{folder}/a/1")


def test_missing_files_and_roots_are_named(raw: RawFiles, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "set", {"inner/a": b"\xff\xfe"})
    tree = raw.tree(folder)
    with pytest.raises(UserError, match=f"{folder}/b: no such file"):
        tree.read("b")
    with pytest.raises(UserError, match=f"{folder}/b: no such file or folder, nor one level down"):
        tree.root("b")
    with pytest.raises(UserError, match=f"{folder}/inner/a: not a text file"):
        tree.root("a").lines("a")


def test_the_digest_of_an_archive_is_its_checksum(raw: RawFiles, tmp_path: Path) -> None:
    archive = pack(write_files(tmp_path / "set", {"a": b"one"}), tmp_path / "set.tar.gz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert raw.tree(archive).origin == {"set.tar.gz": digest}
    assert raw.opened_as == {archive: digest}


def test_a_file_that_changes_while_a_folder_is_read_is_noticed(
    raw: RawFiles, tmp_path: Path
) -> None:
    tree = raw.tree(write_files(tmp_path / "set", {"a": b"one", "b": b"two"}))
    (tmp_path / "set" / "a").write_bytes(b"ONE")
    with pytest.raises(UserError, match="set/a: has changed while it was read"):
        tree.read("a")
    assert tree.read("b") == b"two"


def test_the_digest_of_a_folder_covers_names_and_contents(raw: RawFiles, tmp_path: Path) -> None:
    digests = {
        raw.tree(write_files(tmp_path / str(number) / "set", files)).origin["set"]
        for number, files in enumerate(
            [
                {"a": b"one", "b": b"two"},
                {"a": b"one", "b": b"two", ".cache": b"x"},
                {"a": b"one", "b": b"TWO"},
                {"a": b"one", "c": b"two"},
            ]
        )
    }
    assert len(digests) == 3


def test_linked_folders_are_followed_and_broken_links_named(raw: RawFiles, tmp_path: Path) -> None:
    write_files(tmp_path / "store", {"x": b"one"})
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").symlink_to(tmp_path / "store")
    assert raw.tree(tmp_path / "set").read("a/x") == b"one"
    (tmp_path / "set" / "b").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="set/b: cannot be read"):
        raw.tree(tmp_path / "set")


def test_nothing_is_left_behind(data_root: Path, tmp_path: Path) -> None:
    archive = pack(write_files(tmp_path / "set", {"a": b"one"}), tmp_path / "set.zip")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with RawFiles.opened(data_root / "raw", scratch) as files:
        assert files.tree(archive).root("a").read("a") == b"one"
        assert list(scratch.iterdir()) == []
