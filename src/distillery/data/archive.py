"""Unpacks archives from anywhere without trusting them.

All contents go into one file, one after the other, so that no name in an archive ever becomes a
path on disk. Anything but plain files and folders is refused, and so are sizes beyond the limits,
which ``tarfile`` itself does not bound, nor the memory that a forged header asks for.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from distillery.core.errors import UserError

_COMPRESSIONS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\0": lzma.open,
    b"BZh": bz2.open,
}
_ZIP = b"PK\x03\x04"
_LONGEST_MAGIC = 6
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,
    # An encrypted member, or an unknown compression.
    RuntimeError,
    OSError,
)
_LARGEST_READ = 2**20
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Attributes:
        members: number of files and folders.
        member_bytes: size of one file.
        total_bytes: size of everything.
        ratio: unpacked size over size of the archive.
        harmless_bytes: unpacked size up to which the ratio does not matter.
    """

    members: int = 2_000_000
    member_bytes: int = 2**31
    total_bytes: int = 2**38
    ratio: int = 100
    harmless_bytes: int = 2**26

    def total_for(self, archive_bytes: int) -> int:
        """Return the unpacked size that an archive of this size may have."""
        return min(self.total_bytes, max(self.harmless_bytes, self.ratio * archive_bytes))


@dataclass(frozen=True)
class _Member:
    """A file (or folder) of an archive; ``open`` is None for anything else than a plain file."""

    name: str
    size: int
    is_folder: bool
    open: Callable[[], Any] | None


@dataclass(frozen=True)
class Contents:
    """What an archive holds.

    Attributes:
        files: name -> offset and size of the content.
        folders: names of the folders.
    """

    files: dict[str, tuple[int, int]]
    folders: set[str]


def unpack(
    archive: Path, store: IO[bytes], limits: Limits | None = None, leave_out: frozenset[str] = _NONE
) -> Contents:
    """Append the contents of a tar (plain, gzip, bzip2 or xz) or zip archive to one file.

    Args:
        archive: the file; its kind is told by its content.
        store: open, empty file that takes the contents.
        limits: bounds on what is unpacked.
        leave_out: last parts of the names of files that are passed over, whatever their size.

    Returns:
        Where in ``store`` each file of the archive lies.

    Raises:
        UserError: the file is damaged or no archive, or holds what is not allowed. The message
            names the archive and the member.
    """
    limits = limits or Limits()
    total_allowed = limits.total_for(archive.stat().st_size)
    contents = Contents({}, set())
    total = 0
    try:
        with contextlib.closing(_members(archive, total_allowed)) as members:
            for count, member in enumerate(members, start=1):
                if count > limits.members:
                    raise UserError(f"{archive}: more than {limits.members} members")
                if PurePosixPath(member.name).name in leave_out:
                    continue
                total += member.size
                if total > total_allowed:
                    raise UserError(f"{archive}: more than {total_allowed} bytes when unpacked")
                problem = _problem(member, limits) or _add(member, contents, store)
                if problem:
                    raise UserError(f"{archive}: member {member.name!r} {problem}")
    except _DAMAGE as error:
        raise UserError(f"{archive}: cannot be unpacked ({error})") from None
    return contents


def _problem(member: _Member, limits: Limits) -> str | None:
    """Return why a member is refused."""
    name = member.name
    if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
        return "has an unsafe name"
    if not 0 <= member.size <= limits.member_bytes:
        return f"has {member.size} bytes (allowed: 0 to {limits.member_bytes})"
    if not member.is_folder and member.open is None:
        return "is neither a file nor a folder"
    return None


def _add(member: _Member, contents: Contents, store: IO[bytes]) -> str | None:
    """Append a member to the store, or return why that cannot be."""
    path = PurePosixPath(member.name)
    name = path.as_posix()
    # Packers may leave the folders out.
    contents.folders.update(parent.as_posix() for parent in path.parents[:-1])
    if member.open is None:
        contents.folders.add(name)
        return None
    if name in contents.files:
        return "comes twice"
    start = store.tell()
    with member.open() as packed:
        shutil.copyfileobj(packed, store)
    contents.files[name] = start, member.size
    return None if store.tell() - start == member.size else "is cut short"


def _members(archive: Path, total_allowed: int) -> Generator[_Member]:
    with archive.open("rb") as file:
        start = file.read(_LONGEST_MAGIC)
    if start.startswith(_ZIP):
        return _zip_members(archive)
    openers = [opener for magic, opener in _COMPRESSIONS.items() if start.startswith(magic)]
    return _tar_members(archive, openers[0] if openers else open, total_allowed)


def _zip_members(archive: Path) -> Generator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            # Zeros in archives that were not packed on Unix.
            kind = stat.S_IFMT(info.external_attr >> 16)
            # Not `is_dir()`, which stumbles over a name that damage has emptied.
            is_folder = info.filename.endswith("/")
            is_file = kind in (0, stat.S_IFREG) and not is_folder
            yield _Member(
                info.filename,
                info.file_size,
                is_folder,
                partial(file.open, info) if is_file else None,
            )


def _tar_members(
    archive: Path, opener: Callable[..., Any], total_allowed: int
) -> Generator[_Member]:
    with opener(archive, "rb") as plain:
        stream = _Bounded(plain, total_allowed)
        with tarfile.open(fileobj=stream, mode="r:") as file:
            for info in file:
                is_file = info.isreg() and not info.issparse()
                yield _Member(
                    info.name,
                    info.size,
                    info.isdir(),
                    partial(file.extractfile, info) if is_file else None,
                )
        # tarfile takes a damaged header for the end; reading on also checks the checksum.
        while rest := stream.read(_LARGEST_READ):
            if rest.strip(b"\0"):
                raise tarfile.ReadError("damaged in the middle")


class _Bounded(io.BufferedIOBase):
    """The uncompressed bytes of an archive, which end with an error beyond a limit.

    It bounds what the headers cannot be trusted about: how long the whole is, and how much memory
    one read takes, since tarfile reads the text of a long name in one go.
    """

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._limit = limit

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes."""
        if size is None or not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        data = self._file.read(size)
        self._check(self._file.tell())
        return data

    def seek(self, position: int, whence: int = 0, /) -> int:
        """Go to a position, reading on to it."""
        self._check(position)
        return self._file.seek(position, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def _check(self, position: int) -> None:
        if position > self._limit:
            raise tarfile.ReadError(f"more than {self._limit} bytes when unpacked")
