"""Finds raw files, and reads folders and archives alike."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from distillery.core.errors import UserError
from distillery.core.files import checksum
from distillery.core.processes import available_cores, mapping
from distillery.data.archive import unpack

ENVIRONMENT = "DISTILLERY_DATA"
_NOT_DATA = "__MACOSX"
# Files that a process reads at a time.
_SHARE = 512


@dataclass(frozen=True)
class Tree:
    """Named files with their contents, in a folder or in an archive. Hidden files are left out.

    Attributes:
        files: name with forward slashes -> handle for ``fetch``, sorted by name.
        folders: names of the folders.
        fetch: reads the file behind a handle.
        label: what to put before a name in a message.
        origin: name and checksum of the folder or archive.
    """

    files: Mapping[str, Any]
    folders: frozenset[str]
    fetch: Callable[[Any], bytes]
    label: str
    origin: dict[str, str]

    def show(self, name: str) -> str:
        """Return what to call a file or folder in a message."""
        return f"{self.label}{name}"

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            UserError: there is no such file.
        """
        if name not in self.files:
            raise UserError(f"{self.show(name)}: no such file")
        return self.fetch(self.files[name])

    def lines(self, name: str) -> list[str]:
        """Return the lines of a text file.

        Raises:
            UserError: there is no such file, or it holds no text.
        """
        try:
            return self.read(name).decode().splitlines()
        except UnicodeDecodeError:
            raise UserError(f"{self.show(name)}: not a text file") from None

    def root(self, child: str) -> Tree:
        """Return the part of the tree where ``child`` lies at the top.

        That is the tree itself, or one of its topmost folders.

        Raises:
            UserError: ``child`` is in neither.
        """
        tops = ["", *(f"{name}/" for name in sorted(self.folders) if "/" not in name)]
        for top in tops:
            if top + child in self.files or top + child in self.folders:
                return replace(
                    self,
                    files=_below(top, self.files),
                    folders=frozenset(_below(top, dict.fromkeys(self.folders))),
                    label=self.label + top,
                )
        raise UserError(f"{self.show(child)}: no such file or folder, nor one level down")


class RawFiles:
    """Finds raw files in a list of folders."""

    def __init__(self, roots: Iterable[Path], store: IO[bytes]) -> None:
        self.roots = tuple(roots)
        self._store = store

    @classmethod
    @contextlib.contextmanager
    def opened(cls, raw: Path, scratch: Path) -> Iterator[RawFiles]:
        """Look files up in ``raw``, then in the folder that DISTILLERY_DATA names.

        Args:
            raw: folder of the raw files, ``data/raw``.
            scratch: folder with room for the unpacked contents of archives.
        """
        elsewhere = os.environ.get(ENVIRONMENT)
        roots = [raw, *([Path(elsewhere)] if elsewhere else [])]
        # One file without a name takes all unpacked contents: no clean-up can be missed, however
        # the process ends, and making 60,000 small files would take longer than decoding them.
        with tempfile.TemporaryFile(dir=scratch) as store:
            yield cls(roots, store)

    def find(self, names: Iterable[str]) -> Path | None:
        """Return the first of ``names`` that exists; absolute paths stand for themselves."""
        candidates = (root / name for name in names for root in self.roots)
        return next((path for path in candidates if path.exists()), None)

    def locate(self, names: Iterable[str]) -> Path:
        """Return the first of ``names`` that exists.

        Raises:
            UserError: there is none; the message says where it was looked for.
        """
        found = self.find(names)
        if found is None:
            wanted, roots = " or ".join(names), " or ".join(map(str, self.roots))
            unset = "" if len(self.roots) > 1 else f" ({ENVIRONMENT} is not set)"
            raise UserError(f"{wanted}: not found in {roots}{unset}")
        return found

    def tree(
        self, path: Path, sha256: str | None = None, leave_out: frozenset[str] = frozenset()
    ) -> Tree:
        """Open a folder or an archive of one, after comparing it with the pinned checksum.

        Args:
            path: the folder or archive.
            sha256: checksum that the archive must have; any when not given.
            leave_out: names of files, without folders, that are neither read nor unpacked.

        Raises:
            UserError: the archive is not safe to unpack, or has another checksum.
        """
        if path.is_dir() and sha256:
            raise UserError(f"{path}: a folder has no sha256; leave it out or name the archive")
        try:
            if path.is_dir():
                return _folder_tree(path, leave_out)
            found = checksum(path)
        except OSError as error:
            name = error.filename or path
            raise UserError(f"{name}: cannot be read ({error.strerror})") from None
        if sha256 not in (None, found):
            raise UserError(f"{path}: its sha256 is {found} instead of {sha256}")
        return _archive_tree(path, self._store, found, leave_out)


def _folder_tree(path: Path, leave_out: frozenset[str]) -> Tree:
    files, folders = {}, set()
    # Links are followed: it is the user's own folder, and large sets are often linked into place.
    for parent, subfolders, names in os.walk(path, followlinks=True, onerror=_fail):
        subfolders[:] = filter(_is_data, subfolders)
        # Once a folder: for every file it would take as long as reading it.
        inner = "" if Path(parent) == path else f"{os.path.relpath(parent, path)}/"
        folders |= {f"{inner}{name}" for name in subfolders}
        for name in filter(_is_data, set(names) - leave_out):
            files[f"{inner}{name}"] = f"{parent}/{name}"
    files = dict(sorted(files.items()))
    digest = hashlib.sha256()
    for name, content in zip(files, _checksums(list(files.values())), strict=True):
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return Tree(
        files=files,
        folders=frozenset(folders),
        fetch=_content,
        label=f"{path}/",
        origin={path.name: digest.hexdigest()},
    )


def _fail(error: OSError) -> None:
    raise error


def _content(file: str) -> bytes:
    # Without a buffer in between: small files are opened in half the time.
    with open(file, "rb", buffering=0) as raw:  # noqa: PTH123
        return raw.readall()


def _checksums(files: list[str]) -> Iterator[str]:
    """Yield the SHA-256 of each file; several processes read them if there are many."""
    shares = [files[start : start + _SHARE] for start in range(0, len(files), _SHARE)]
    processes = max(1, min(available_cores(), len(shares)))

    def read(share: list[str]) -> list[str]:
        return [checksum(file) for file in share]

    with mapping(read, processes) as over:
        for share in over(shares):
            yield from share


def _archive_tree(path: Path, store: IO[bytes], digest: str, leave_out: frozenset[str]) -> Tree:
    contents = unpack(path, store, leave_out=leave_out)

    store.flush()

    def fetch(span: tuple[int, int]) -> bytes:
        # At its own position, since several processes may read one open file.
        start, size = span
        content = b""
        while len(content) < size:
            content += os.pread(store.fileno(), size - len(content), start + len(content))
        return content

    return Tree(
        files={name: contents.files[name] for name in sorted(contents.files) if _is_data(name)},
        folders=frozenset(filter(_is_data, contents.folders)),
        fetch=fetch,
        label=f"{path}:",
        origin={path.name: digest},
    )


def _is_data(name: str) -> bool:
    """Tell whether neither a file nor a folder above it is hidden or rubbish of a packer."""
    hidden = name.startswith(".") or "/." in name
    return not hidden and (_NOT_DATA not in name or _NOT_DATA not in name.split("/"))


def _below(top: str, names: Mapping[str, Any]) -> dict[str, Any]:
    return {name[len(top) :]: value for name, value in names.items() if name.startswith(top)}
