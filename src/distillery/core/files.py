"""Files that appear complete or not at all, and their checksums."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from distillery.core.errors import DistilleryError, UserError

_CHUNK = 2**18
# More than anybody writes by hand.
_LARGEST_TEXT = 2**22


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the name ``path`` when the block ends.

    A reader sees the old content or the new one, also when the machine loses power. A process that
    is killed in between leaves a hidden file with the suffix ``.tmp``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` so that a reader sees the old file or the new one."""
    with atomic_writer(path) as file:
        file.write(content)


def checksum(path: Path | str) -> str:
    """Return the SHA-256 of a file as hex digits."""
    digest = hashlib.sha256()
    # Without buffers of its own, which for small files take longer than the file.
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        while content := file.read(_CHUNK):
            digest.update(content)
    return digest.hexdigest()


def fsync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_space(folder: Path, size: int) -> None:
    """Refuse to begin what will not fit on the disk.

    Args:
        folder: where it is to be written.
        size: how many bytes that takes, about.

    Raises:
        DistilleryError: fewer are free.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        needed, left = (f"{count / 2**20:,.0f} MiB" for count in (size, free))
        raise DistilleryError(
            f"{folder}: about {needed} are to be written, but {left} are free: make room on this "
            "disk (`distillery gc` lists runs that are not needed), or link the data folder to a "
            "larger one"
        )


def read_regular(file: Path, kind: str = "file") -> bytes:
    """Return the content of a regular file: a pipe could keep its reader waiting for ever.

    Raises:
        UserError: there is none, it is something else, too large, or cannot be read.
    """
    try:
        if not file.exists():
            raise UserError(f"{file}: no such {kind}")
        if not file.is_file():
            raise UserError(f"{file}: not a regular file")
        if file.stat().st_size > _LARGEST_TEXT:
            raise UserError(f"{file}: larger than {_LARGEST_TEXT // 2**20} MiB")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{str(file)[:200]!r}: cannot be read ({why})") from None
