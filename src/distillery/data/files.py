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

ENVIRONMENT = "DISTILLERY_DATA"
_NOT_DATA = "__MACOSX"
# What file managers put beside images.
_RUBBISH = ("thumbs.db", "desktop.ini")
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

    def below(self, top: str) -> Tree:
        """Return the part of the tree below a folder, whose name ends with a slash."""
        return replace(
            self,
            files=_below(top, self.files),
            folders=frozenset(_below(top, dict.fromkeys(self.folders))),
            label=self.label + top,
        )

    def root(self, child: str) -> Tree:
        """Return the part of the tree where ``child`` lies at the top.

        That is the tree itself, or one of its topmost folders.

        Raises:
            UserError: ``child`` is in neither.
        """
        tops = ["", *(f"{name}/" for name in sorted(self.folders) if "/" not in name)]
        for top in tops:
            if top + child in self.files or top + child in self.folders:
                return self.below(top)
        raise UserError(f"{self.show(child)}: no such file or folder, nor one level down")


class RawFiles:
    """Finds raw files in a list of folders.

    Attributes:
        roots: the folders.
        opened_as: folder or archive that was opened -> digest of its contents.
    """

    def __init__(self, roots: Iterable[Path], store: IO[bytes], *, verified: bool = True) -> None:
        self.roots = tuple(roots)
        self.opened_as: dict[Path, str] = {}
        self._store = store
        self._verified = verified

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls, raw: Path, scratch: Path | None, *, verified: bool = True
    ) -> Iterator[RawFiles]:
        """Look files up in ``raw``, then in the folder that DISTILLERY_DATA names.

        Args:
            raw: folder of the raw files, ``data/raw``.
            scratch: folder with room for the unpacked contents of archives; None for the
                system's own.
            verified: whether files are compared with the digest when they are read; without it,
                what is opened has no digest.
        """
        # One file without a name takes all unpacked contents: no clean-up can be missed, however
        # the process ends, and making 60,000 small files would take longer than decoding them.
        with tempfile.TemporaryFile(dir=scratch) as store:
            yield cls(roots_of(raw), store, verified=verified)

    def find(self, names: Iterable[str]) -> Path | None:
        """Return the first of ``names`` that exists; absolute paths stand for themselves."""
        return find(names, self.roots)

    def locate(self, names: Iterable[str]) -> Path:
        """Return the first of ``names`` that exists.

        Raises:
            UserError: there is none; the message says where it was looked for.
        """
        found = self.find(names)
        if found is None:
            raise UserError(missing(names, self.roots))
        return found

    def tree(self, path: Path, leave_out: frozenset[str] = frozenset()) -> Tree:
        """Open a folder or an archive of one.

        Args:
            path: the folder or archive.
            leave_out: names of files, without folders, that are neither read nor unpacked.

        Raises:
            UserError: a file cannot be read, or the archive is not safe to unpack.
        """
        try:
            if path.is_dir():
                tree = _folder_tree(path, leave_out, verified=self._verified)
            else:
                digest = checksum(path) if self._verified else ""
                tree = _archive_tree(path, self._store, digest, leave_out)
        except OSError as error:
            name = error.filename or path
            raise UserError(f"{name}: cannot be read ({error.strerror})") from None
        self.opened_as[path] = tree.origin[path.name]
        return tree


def roots_of(raw: Path) -> tuple[Path, ...]:
    """Return where raw files are looked up: ``raw``, then the folder DISTILLERY_DATA names."""
    elsewhere = os.environ.get(ENVIRONMENT)
    return (raw, *([Path(elsewhere)] if elsewhere else []))


def find(names: Iterable[str], roots: Iterable[Path]) -> Path | None:
    """Return the first of ``names`` in one of ``roots``; absolute paths stand for themselves.

    Raises:
        UserError: it is a pipe or the like, which could keep its reader waiting for ever.
    """
    roots = tuple(roots)
    candidates = (root / name for name in names for root in roots)
    found = next((path for path in candidates if path.exists()), None)
    if found and not (found.is_file() or found.is_dir()):
        raise UserError(f"{found}: neither a file nor a folder")
    return found


def missing(names: Iterable[str], roots: tuple[Path, ...]) -> str:
    """Return what to say when none of ``names`` is in any of ``roots``."""
    wanted, where = " or ".join(names), " or ".join(map(str, roots))
    unset = "" if len(roots) > 1 else f" ({ENVIRONMENT} is not set)"
    return f"{wanted}: not found in {where}{unset}"


def folder_files(
    path: Path, leave_out: frozenset[str] = frozenset()
) -> tuple[dict[str, str], frozenset[str]]:
    """Return the files of a folder, name -> path, sorted by name, and its folders; none hidden.

    Args:
        path: the folder.
        leave_out: names of files, without folders, that are passed over.

    Raises:
        UserError: one of them is a pipe or the like.
    """
    files, folders = {}, set()
    # Links are followed: it is the user's own folder, and large sets are often linked into place.
    for parent, subfolders, names in os.walk(path, followlinks=True, onerror=_fail):
        subfolders[:] = filter(_is_data, subfolders)
        # Once a folder: for every file it would take as long as reading it.
        inner = "" if Path(parent) == path else f"{os.path.relpath(parent, path)}/"
        folders |= {f"{inner}{name}" for name in subfolders}
        for name in filter(_is_data, set(names) - leave_out):
            files[f"{inner}{name}"] = f"{parent}/{name}"
    for name, file in files.items():
        if not os.path.isfile(file) and os.path.exists(file):  # noqa: PTH110, PTH113
            raise UserError(f"{path}/{name}: not a regular file")
    return dict(sorted(files.items())), frozenset(folders)


def folder_digest(checksums: Mapping[str, str]) -> str:
    """Return the digest of a folder: of the names of its files, sorted, and their checksums."""
    digest = hashlib.sha256()
    for name, content in checksums.items():
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _folder_tree(path: Path, leave_out: frozenset[str], *, verified: bool) -> Tree:
    files, folders = folder_files(path, leave_out)
    if not verified:
        return Tree(files, folders, _content, f"{path}/", {path.name: ""})
    paths = list(files.values())
    contents = dict(zip(paths, checksums(paths), strict=True))

    def fetch(file: str) -> bytes:
        content = _content(file)
        if hashlib.sha256(content).hexdigest() != contents[file]:
            raise UserError(f"{file}: has changed while it was read; start again")
        return content

    digest = folder_digest({name: contents[file] for name, file in files.items()})
    return Tree(
        files=files,
        folders=folders,
        fetch=fetch,
        label=f"{path}/",
        origin={path.name: digest},
    )


def _fail(error: OSError) -> None:
    raise error


def _content(file: str) -> bytes:
    # Without a buffer in between: small files are opened in half the time.
    with open(file, "rb", buffering=0) as raw:  # noqa: PTH123
        return raw.readall()


def checksums(files: list[str]) -> Iterator[str]:
    """Yield the SHA-256 of each file; several processes read them if there are many."""
    shares = [files[start : start + _SHARE] for start in range(0, len(files), _SHARE)]
    processes = max(1, min(available_cores(), len(shares)))

    def read(share: list[str]) -> list[str]:
        return [checksum(file) for file in share]

    with mapping(read, processes) as over:
        for share in over(shares):
            yield from share


def _archive_tree(path: Path, store: IO[bytes], digest: str, leave_out: frozenset[str]) -> Tree:
    # A folder needs none of what reads archives.
    from distillery.data.archive import unpack

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
    hidden = name.startswith(".") or "/." in name or name.lower().endswith(_RUBBISH)
    return not hidden and (_NOT_DATA not in name or _NOT_DATA not in name.split("/"))


def _below(top: str, names: Mapping[str, Any]) -> dict[str, Any]:
    return {name[len(top) :]: value for name, value in names.items() if name.startswith(top)}
