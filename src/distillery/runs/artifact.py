"""Finished runs: where they are, and reading them with every file checked against the manifest."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from distillery.core.errors import DamagedArtifact, NotMade
from distillery.core.files import checksum
from distillery.runs.run import identity_of, key_in, run_key

MANIFEST = "manifest.json"
FORMAT = 1
# What of a manifest its key is the hash of.
_IDENTITY = ("stage", "settings", "inputs", "code")


class Artifact:
    """A finished run, opened for reading; files are checked against the manifest when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = _read_manifest(path)
        self._checked: set[str] = set()

    @property
    def key(self) -> str:
        """The run's key."""
        return str(self.manifest["key"])

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the run was made with, with what other runs selected of them."""
        return dict(self.manifest.get("record", {}).get("settings") or self.manifest["settings"])

    @property
    def contents(self) -> str:
        """Digest of what its files hold, as the manifest says."""
        return contents_of(self.manifest["files"])

    @property
    def files(self) -> list[str]:
        """Names of the files, relative to the run directory."""
        return sorted(self.manifest["files"])

    @property
    def adoption(self) -> str:
        """How a run of earlier code came to count as a present one; empty if it did not."""
        history = self.manifest["adopted_from"]
        checks = [ancestor.get("checked") for ancestor in history]
        if not history or None in checks:
            return "adopted" if history else ""
        least = min(checks, key=lambda check: check["checked"] / check["of"])
        return f"adopted, checked with {least['checked']} of {least['of']}"

    def file(self, name: str) -> Path:
        """Return the path of one file after checking its size and checksum.

        Raises:
            DamagedArtifact: the file is missing or differs from the manifest.
        """
        path = self.path / name
        if name in self._checked:
            return path
        expected = self.manifest["files"].get(name)
        if expected is None:
            raise DamagedArtifact(f"{self.path}: the run holds no file '{name}'")
        problem = _difference(path, expected)
        if problem:
            raise DamagedArtifact(f"{path}: {problem}; {_remedy(self.path)}")
        self._checked.add(name)
        return path

    def json(self, name: str) -> Any:
        """Return the content of a checked JSON file."""
        return json.loads(self.file(name).read_text(encoding="utf-8"))

    def problems(self) -> list[str]:
        """Check every file and return what is wrong, one line a problem."""
        found = []
        for name, expected in self.manifest["files"].items():
            problem = _difference(self.path / name, expected)
            if problem:
                found.append(f"{self.path / name}: {problem}")
        listed = {*self.manifest["files"], MANIFEST}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if path.is_file() and name not in listed:
                found.append(f"{path}: not listed in the manifest")
        return found


def contents_of(files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the digest of what files hold: name -> what a manifest says of the file."""
    sums = {name: file["sha256"] for name, file in files.items()}
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()[:16]


def open_input(data: Path, location: str, reader: str = "") -> Artifact:
    """Open a finished run that another one reads.

    Args:
        data: the data folder.
        location: where the run lies in it.
        reader: location of the run that reads it, for the message.

    Raises:
        NotMade: it has not been made.
    """
    path = where(data, location)
    if not is_complete(path):
        wanted_by = f" (input of {reader})" if reader else ""
        raise NotMade(f"{path}: this run has not been made{wanted_by}; run snakemake to make it")
    return Artifact(path)


def is_complete(path: Path) -> bool:
    """Tell whether ``path`` is a published run directory."""
    return (path / MANIFEST).is_file()


class Finished:
    """The finished runs of a data folder, found by their keys.

    A run lies under the name that it was first made with, whatever a plan would call it: names
    come from the ids of a params file, and experiments share runs. Each folder is listed once.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._folders: dict[str, dict[str, list[Path]]] = {}

    def __contains__(self, location: str) -> bool:
        """Tell whether the run that a plan has at ``location`` is there, under any name."""
        return is_complete(self.path(location))

    def path(self, location: str) -> Path:
        """Return the directory of a run; where it would be made if it is not there."""
        planned = self._data / location
        if is_complete(planned):
            return planned
        named = self._of_key(planned.parent.name).get(key_in(location), ())
        return next(filter(is_complete, named), planned)

    def _of_key(self, folder: str) -> dict[str, list[Path]]:
        """Return what lies in a folder by the keys that end the names."""
        if folder not in self._folders:
            found: dict[str, list[Path]] = {}
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for path in sorted((self._data / folder).iterdir()):
                    found.setdefault(key_in(path.name), []).append(path)
            self._folders[folder] = found
        return self._folders[folder]


def where(data: Path, location: str) -> Path:
    """Return the directory of a run, as ``Finished.path`` does, by what is there now."""
    return Finished(data).path(location)


def published(data: Path, folder: str = "[!.]*") -> Iterator[Path]:
    """Yield every published run directory below ``data``, or below one folder of it."""
    for manifest in sorted(data.glob(f"{folder}/*/{MANIFEST}")):
        yield manifest.parent


def _read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a run directory.

    Raises:
        DamagedArtifact: it is unreadable, that of another run, or does not have the key of its own
            settings, inputs and code.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        is_own = path.name == f"{manifest['slug']}-{manifest['key']}"
        if manifest["format"] != FORMAT or not is_own or not _is_whole(manifest):
            raise DamagedArtifact(
                f"{path / MANIFEST}: not the manifest of this run; {_remedy(path)}"
            )
        key = run_key(identity_of(**{name: manifest[name] for name in _IDENTITY}))
    except (KeyError, TypeError, AttributeError) as error:
        problem = f"not the manifest of this run ({type(error).__name__}: {error})"
        raise DamagedArtifact(f"{path / MANIFEST}: {problem}; {_remedy(path)}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedArtifact(f"{path / MANIFEST}: unreadable ({error}); {_remedy(path)}") from None
    if key != manifest["key"]:
        problem = f"its settings, inputs and code have the key {key}, not {manifest['key']}"
        raise DamagedArtifact(f"{path / MANIFEST}: {problem}; {_remedy(path)}")
    return dict(manifest)


def _is_whole(manifest: Mapping[str, Any]) -> bool:
    """Tell whether a manifest has what its readers look for, and names no file elsewhere."""
    return (
        isinstance(manifest["settings"], dict)
        and isinstance(manifest["record"], dict)
        and isinstance(manifest["adopted_from"], list)
        and all(_is_below(name) for name in manifest["files"])
        and all(
            isinstance(file["size"], int) and isinstance(file["sha256"], str)
            for file in manifest["files"].values()
        )
    )


def _is_below(name: str) -> bool:
    """Tell whether a file's name stays within the run's folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts


def _difference(path: Path, expected: Mapping[str, Any]) -> str | None:
    if not path.is_file():
        return "missing"
    if path.stat().st_size != expected["size"]:
        return f"{path.stat().st_size} bytes instead of {expected['size']}"
    if checksum(path) != expected["sha256"]:
        return "content differs from the manifest's checksum"
    return None


def _remedy(path: Path) -> str:
    return f"delete the folder {path} and run snakemake again to rebuild it"
