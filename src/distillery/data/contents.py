"""What is in raw files, as one digest, without reading them again as long as they stay as they are.

The digest of a folder covers names, sizes and contents of its files, that of an archive its bytes.
It is kept in ``data/.cache/raw`` beside what the file system says of each file (size, times, number
of the inode). A file of which any of that has changed is read again, and so is one that was changed
within two seconds before it was read, since a later change may leave its times as they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from distillery.core.errors import UserError
from distillery.core.files import write_atomically
from distillery.data import registry
from distillery.data.card import Whereabouts
from distillery.data.files import checksums, find, folder_digest, folder_files, roots_of

CACHE = ".cache"
_KEPT = f"{CACHE}/raw"
_RAW = "raw"
# Coarser than the clocks of file systems in use.
_TICK_NS = 2 * 10**9
# Reading more takes so long that it is announced.
_LARGE = 2**30

Stamp = tuple[int, int, int, int]
"""Size, time of modification and of change in nanoseconds, and inode of a file."""


def folder_of_raw_files(data: Path) -> Path:
    """Return the folder of raw files in a data folder."""
    return data / _RAW


def located(source: Whereabouts, data: Path) -> Path | None:
    """Return where the raw data of a source are; None if they are not there."""
    return find(source.places, roots_of(folder_of_raw_files(data)))


def contents_of(source: Whereabouts, path: Path, data: Path, *, afresh: bool = False) -> str | None:
    """Return the digest of raw data; None for those that their authors' checksums describe.

    Args:
        source: what they are the data of.
        path: their folder or file.
        data: the data folder, where digests are kept.
        afresh: read all files again.

    Raises:
        UserError: a file cannot be read, or the archive has not the checksum of the settings.
    """
    digest = digest_of(path, data, frozenset(source.unused), afresh=afresh)
    if source.sha256 and path.is_dir():
        raise UserError(f"{path}: a folder has no sha256; leave it out or name the archive")
    if source.sha256 not in (None, digest):
        raise UserError(f"{path}: its sha256 is {digest} instead of {source.sha256}")
    if source.downloaded:
        file = data / _KEPT / f"published-{_hashed(f'{source.source} {digest}')}.json"
        if _remembered(file, lambda: agrees_with_published(source.source, path)):
            return None
    return digest


def digest_of(
    path: Path, data: Path, leave_out: frozenset[str] = frozenset(), *, afresh: bool = False
) -> str:
    """Return the digest of a folder or file as ``RawFiles.tree`` finds it; see ``contents_of``.

    Raises:
        UserError: a file cannot be read.
    """
    try:
        files = folder_files(path, leave_out)[0] if path.is_dir() else {"": str(path)}
        stamps = {name: _stamp(file) for name, file in files.items()}
        kept = _Kept(data / _KEPT / f"{_hashed(str(path.resolve()))}.json")
        digest = None if afresh else kept.digest_for(stamps)
        if digest is None:
            began = time.time_ns()
            found = {} if afresh else kept.trusted(stamps)
            found |= _read({name: files[name] for name in files.keys() - found.keys()}, stamps)
            ordered = {name: found[name] for name in files}
            digest = folder_digest(ordered) if path.is_dir() else ordered[""]
            kept.write(digest, began, stamps, ordered)
    except OSError as error:
        name = error.filename or path
        raise UserError(f"{name}: cannot be read ({error.strerror})") from None
    return digest


def agrees_with_published(source: str, path: Path) -> bool:
    """Tell whether raw data are what is published, by the checksums that their authors give.

    Files without such a checksum, which are not read, may be beside them.
    """
    module = importlib.import_module(registry.module_of(source))
    published: Mapping[str, str] = module.published()
    files = folder_files(path)[0] if path.is_dir() else {path.name: str(path)}
    known = [file for file in files.values() if Path(file).name in published]
    return bool(known) and all(_md5(file) == published[Path(file).name] for file in known)


def _remembered(file: Path, find: Callable[[], bool]) -> bool:
    try:
        return bool(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        found = find()
    with contextlib.suppress(OSError):
        write_atomically(file, json.dumps(found).encode())
    return found


class _Kept:
    """The file of what was found out about one folder or archive: a head, then a line a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def digest_for(self, stamps: Mapping[str, Stamp]) -> str | None:
        """Return the digest if all files are as they were when it was taken."""
        try:
            with self._file.open("rb") as lines:
                head = json.loads(lines.readline())
            is_same = head["stamps"] == _of_stamps(stamps)
            return str(head["digest"]) if is_same and head["is_settled"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def trusted(self, stamps: Mapping[str, Stamp]) -> dict[str, str]:
        """Return the checksums of those files that are as they were."""
        found = {}
        try:
            with self._file.open("rb") as lines:
                began = json.loads(lines.readline())["began"]
                for line in lines:
                    name, stamp, content = json.loads(line)
                    if stamps.get(name) == tuple(stamp) and _is_settled(tuple(stamp), began):
                        found[name] = content
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return found

    def write(
        self, digest: str, began: int, stamps: Mapping[str, Stamp], contents: Mapping[str, str]
    ) -> None:
        """Keep what was found; where nothing can be written, it is found out each time."""
        head = {
            "digest": digest,
            "began": began,
            "stamps": _of_stamps(stamps),
            "is_settled": all(_is_settled(stamp, began) for stamp in stamps.values()),
        }
        lines = [json.dumps(head)]
        lines += [json.dumps([name, stamps[name], contents[name]]) for name in contents]
        with contextlib.suppress(OSError):
            write_atomically(self._file, "\n".join(lines).encode())


def _read(files: Mapping[str, str], stamps: Mapping[str, Stamp]) -> dict[str, str]:
    """Return the checksum of each file."""
    size = sum(stamps[name][0] for name in files)
    if size > _LARGE:
        found = f"{len(files):,} raw files, {size / 2**30:,.1f} GiB"
        print(f"distillery: reading {found}, once, to notice when they change", file=sys.stderr)
    return dict(zip(files, checksums(list(files.values())), strict=True))


def _stamp(file: str) -> Stamp:
    # For many files three times as fast as a path's method.
    found = os.stat(file)  # noqa: PTH116
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _is_settled(stamp: Stamp, began: int) -> bool:
    return max(stamp[1:3]) < began - _TICK_NS


def _of_stamps(stamps: Mapping[str, Stamp]) -> str:
    digest = hashlib.sha256()
    for name, stamp in stamps.items():
        digest.update(f"{name}\0{stamp}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _md5(file: str) -> str:
    with Path(file).open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
