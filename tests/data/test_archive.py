import io
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from data_samples import write_tar
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.core.errors import UserError
from distillery.data.archive import Contents, Limits, unpack

FILES = {"set/train/a.txt": b"alpha" * 300, "set/b.txt": b"", "set/c.txt": bytes(range(256))}


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpacked(archive: Path, limits: Limits | None = None) -> tuple[Contents, io.BytesIO]:
    store = io.BytesIO()
    return unpack(archive, store, limits), store


def contents(archive: Path) -> dict[str, bytes]:
    found, store = unpacked(archive)
    value = store.getvalue()
    return {name: value[start : start + size] for name, (start, size) in found.files.items()}


def tar_with(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * max(member.size, 0)))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_any_compression_whatever_it_is_called(tmp_path: Path, mode: str) -> None:
    assert contents(write_tar(tmp_path / "set.bin", FILES, mode)) == FILES


def test_zip(tmp_path: Path) -> None:
    assert contents(write_zip(tmp_path / "set.bin", FILES)) == FILES


def test_folders_are_known_even_when_they_are_empty_or_not_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    tar_with(path, member("./set/empty/", tarfile.DIRTYPE), member("./set/one/file"))
    found, _ = unpacked(path)
    assert found.folders == {"set", "set/empty", "set/one"}
    assert list(found.files) == ["set/one/file"]


def test_contents_are_appended_to_the_store(tmp_path: Path) -> None:
    store = io.BytesIO(b"before")
    store.seek(6)
    found = unpack(write_tar(tmp_path / "a.tar.gz", {"x": b"content"}), store)
    assert found.files == {"x": (6, 7)}
    assert store.getvalue() == b"beforecontent"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\evil", "a/.."])
@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_unsafe_names_are_refused(tmp_path: Path, write, name: str) -> None:  # type: ignore[no-untyped-def]
    archive = write(tmp_path / "a", {"good": b"1", name: b"2"})
    with pytest.raises(UserError) as caught:
        unpacked(archive)
    assert str(caught.value) == f"{archive}: member {name!r} has an unsafe name"


@pytest.mark.parametrize(
    "bad",
    [
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.SYMTYPE, "good"),
        member("link", tarfile.LNKTYPE, "good"),
        member("device", tarfile.CHRTYPE),
        member("device", tarfile.BLKTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("unknown", b"Z"),
    ],
    ids=["symlink", "inner symlink", "hardlink", "char device", "block device", "pipe", "unknown"],
)
def test_only_files_and_folders_are_let_through(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = tar_with(tmp_path / "a.tar.gz", member("good"), bad)
    with pytest.raises(UserError, match=f"a.tar.gz: member '{bad.name}' is neither a file nor a"):
        unpacked(archive)


def test_symlink_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match=r"member 'link' is neither a file nor a folder"):
        unpacked(tmp_path / "a.zip")


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_what_is_left_out_may_have_any_size(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    archive = write(tmp_path / "set.bin", {"a/small": b"x", "a/large": b"y" * 50, "b/last": b"z"})
    store, limits = io.BytesIO(), Limits(member_bytes=10)
    with pytest.raises(UserError, match="member 'a/large' has 50 bytes"):
        unpack(archive, io.BytesIO(), limits)
    found = unpack(archive, store, limits, leave_out=frozenset({"large"}))
    assert sorted(found.files) == ["a/small", "b/last"]
    assert store.getvalue() == b"xz"


def test_a_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    archive = tar_with(tmp_path / "a.tar.gz", member("a/x"), member("a//./x"))
    with pytest.raises(UserError, match=r"member 'a//./x' comes twice"):
        unpacked(archive)


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_bombs_are_refused_by_their_ratio(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    archive = write(tmp_path / "bomb", {"zeros": bytes(80 * 2**20)})
    assert archive.stat().st_size * 500 < 80 * 2**20
    with pytest.raises(UserError, match=r"bomb: more than \d+ bytes when unpacked"):
        unpacked(archive)
    assert len(contents(write(tmp_path / "small", {"zeros": bytes(2**20)}))["zeros"]) == 2**20


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_limits_on_members_and_their_sizes(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    archive = write(tmp_path / "a", {str(number): bytes(10) for number in range(20)})
    assert len(unpacked(archive, Limits(members=20, member_bytes=10))[0].files) == 20
    with pytest.raises(UserError, match="a: more than 19 members"):
        unpacked(archive, Limits(members=19))
    with pytest.raises(UserError, match=r"a: member '0' has 10 bytes \(allowed: 0 to 9\)"):
        unpacked(archive, Limits(member_bytes=9))
    with pytest.raises(UserError, match="more than 199 bytes when unpacked"):
        unpacked(archive, Limits(total_bytes=199))


def test_the_limit_counts_what_is_read_and_not_what_headers_claim(tmp_path: Path) -> None:
    # 300 empty files are nothing but headers: 150 kB that the members' sizes do not show.
    archive = tar_with(tmp_path / "a.tar.gz", *(member(str(number)) for number in range(300)))
    with pytest.raises(UserError, match="more than 100000 bytes when unpacked"):
        unpacked(archive, Limits(total_bytes=100_000))


def test_a_forged_long_name_takes_no_memory(tmp_path: Path) -> None:
    forged = member("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    forged.size = 2**33
    path = tmp_path / "a.tar"
    path.write_bytes(forged.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    with pytest.raises(UserError, match=r"a.tar: cannot be unpacked \(a header of \d+ bytes\)"):
        unpacked(path)


def test_negative_sizes_are_refused(tmp_path: Path) -> None:
    forged = member("x")
    forged.size = -1024
    path = tmp_path / "a.tar"
    path.write_bytes(forged.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    with pytest.raises(UserError, match=r"a.tar: "):
        unpacked(path)


@pytest.mark.parametrize("write", [write_tar, write_zip])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.95])
def test_cut_archives_are_refused(tmp_path: Path, write, kept: float) -> None:  # type: ignore[no-untyped-def]
    archive = write(tmp_path / "a", {"x": bytes(range(256)) * 40, "y": b"end"})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UserError, match="a: cannot be unpacked"):
        unpacked(archive)


def test_a_damaged_header_in_the_middle_is_no_end(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", {"x": b"1" * 600, "y": b"2" * 600}, "w")
    content = bytearray(archive.read_bytes())
    second_header = 512 + 1024
    content[second_header : second_header + 4] = b"\xff\xff\xff\xff"
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be unpacked \(damaged in the middle\)"):
        unpacked(archive)


def test_wrong_checksum_in_a_zip(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x", b"content")
    archive.write_bytes(archive.read_bytes().replace(b"content", b"CONTENT", 1))
    with pytest.raises(UserError, match=r"cannot be unpacked .*CRC"):
        unpacked(archive)


def test_encrypted_zip(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"x": b"content"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.index(signature) + offset, 1)
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be unpacked .*encrypted"):
        unpacked(archive)


@pytest.mark.parametrize("content", [b"", b"some text", b"\x1f\x8b rubbish", b"PK\x03\x04rubbish"])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"notes.txt: cannot be unpacked \(.+\)"):
        unpacked(path)


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(["w", "w:gz", "w:xz", "zip"]), data=st.data())
def test_no_damage_raises_anything_but_a_user_error(kind: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        write_zip(path, FILES) if kind == "zip" else write_tar(path, FILES, kind)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            position = data.draw(st.integers(0, len(content) - 1))
            content[position] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            found, store = unpacked(path)
        except UserError as error:
            message = str(error)
        else:
            assert sum(size for _, size in found.files.values()) == len(store.getvalue())
            return
        assert message.startswith(f"{path}: ")
