"""Run directories: one writer, one atomic publish, and a manifest that every reader checks.

A run lives in ``data/<folder>/<slug>-<key>/``. While it is being made, its files and checkpoints
lie in ``data/.scratch/<slug>-<key>/``, which survives interruptions; the finished folder is renamed
into place after its manifest is on disk. So an existing run directory is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distillery.core.errors import Busy, DamagedArtifact, UserError

MANIFEST = "manifest.json"
SCRATCH = ".scratch"
RAW = "raw"
_FORMAT = 1
_RECORDED_PACKAGES = ("distillery", "torch", "torchvision", "accelerate", "numpy", "pyarrow")


@dataclass(frozen=True)
class Run:
    """One unit of work: a stage, its resolved settings, and the runs that it reads.

    Attributes:
        stage: name of the stage (see ``distillery.runs.stages``).
        folder: folder below ``data/`` that holds the stage's runs.
        slug: readable name, derived from the settings.
        settings: everything that decides the result, resolved to plain values.
        inputs: name -> location (``folder/slug-key``) of every run that is read.
        code: fingerprint of the code that computes the run.
    """

    stage: str
    folder: str
    slug: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    code: str
    key: str = field(default="")

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", run_key(self.identity))

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the key is the hash of."""
        return {
            "stage": self.stage,
            "settings": self.settings,
            "inputs": {name: location[-KEY_LENGTH:] for name, location in self.inputs.items()},
            "code": self.code,
        }

    @property
    def name(self) -> str:
        """Name of the run's directory."""
        return f"{self.slug}-{self.key}"

    @property
    def location(self) -> str:
        """Path of the run's directory below ``data/``."""
        return f"{self.folder}/{self.name}"

    def as_dict(self) -> dict[str, Any]:
        """Return the run as plain values; ``Run(**plain)`` restores it."""
        return asdict(self)


KEY_LENGTH = 16


def run_key(identity: Mapping[str, Any]) -> str:
    """Return the key of a run: a hash of its canonical JSON form."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_LENGTH]


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
        """The settings that the run was made with."""
        return dict(self.manifest["settings"])

    @property
    def files(self) -> list[str]:
        """Names of the files, relative to the run directory."""
        return sorted(self.manifest["files"])

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


@dataclass
class Workspace:
    """What a stage gets to work with.

    Attributes:
        run: the run to compute.
        inputs: name -> opened input run. A stage reads no other run.
        raw: folder of the raw files.
        out: empty or half-filled folder that becomes the run directory.
        scratch: folder for checkpoints, kept until the run is published.
        record: what the stage adds to its manifest's record (device, origin of a file, ...).
    """

    run: Run
    inputs: dict[str, Artifact]
    raw: Path
    out: Path
    scratch: Path
    record: dict[str, Any] = field(default_factory=dict)

    def write_json(self, name: str, value: Any) -> None:
        """Write ``value`` as readable JSON into the run directory."""
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
        write_atomically(self.out / name, f"{text}\n".encode())


def produce(data: Path, run: Run, compute: Callable[[Workspace], None]) -> Path:
    """Compute ``run`` into ``data`` unless it is there, and return its directory.

    Raises:
        Busy: another process is computing the same run.
        UserError: an input of the run has not been made.
        DamagedArtifact: an input does not match its manifest.
    """
    target = data / run.location
    scratch = data / SCRATCH / run.name
    with _single_writer(scratch):
        if is_complete(target):
            return target
        inputs = {name: open_input(data, place, run) for name, place in run.inputs.items()}
        workspace = Workspace(run, inputs, data / RAW, scratch / "out", scratch)
        workspace.out.mkdir(exist_ok=True)
        # What a library was writing under a name of its own when the last attempt was killed.
        for unfinished in workspace.out.glob(".*"):
            unfinished.unlink()
        started, clock = datetime.now(UTC), time.perf_counter()
        compute(workspace)
        record = {
            "started": started.isoformat(timespec="seconds"),
            "wall_seconds": round(time.perf_counter() - clock, 3),
            "peak_memory_mb": _peak_memory_mb(),
            "versions": _versions(),
            "git": _git_state(),
            **workspace.record,
        }
        _publish(workspace.out, target, run, record, adopted_from=[])
        # The lock file goes last, while the lock is held: a waiting process re-checks `target`.
        shutil.rmtree(scratch)
    return target


def open_input(data: Path, location: str, reader: Run | None = None) -> Artifact:
    """Open a finished run that another one reads."""
    path = data / location
    if not is_complete(path):
        wanted_by = f" (input of {reader.location})" if reader else ""
        raise UserError(f"{path}: this run has not been made{wanted_by}; run snakemake to make it")
    return Artifact(path)


def is_complete(path: Path) -> bool:
    """Tell whether ``path`` is a published run directory."""
    return (path / MANIFEST).is_file()


def published(data: Path) -> Iterator[Path]:
    """Yield every published run directory below ``data``."""
    for manifest in sorted(data.glob(f"[!.]*/*/{MANIFEST}")):
        yield manifest.parent


def adopt(data: Path, source: Path, run: Run) -> Path:
    """Publish the files of ``source`` again as ``run``, and record where they came from.

    The files are hard-linked where the file system allows it, so that nothing is stored twice.
    """
    artifact = Artifact(source)
    problems = artifact.problems()
    if problems:
        raise DamagedArtifact(problems[0])
    target, scratch = data / run.location, data / SCRATCH / run.name
    with _single_writer(scratch):
        if is_complete(target):
            return target
        out = scratch / "out"
        shutil.rmtree(out, ignore_errors=True)
        for name in artifact.files:
            _link_or_copy(source / name, out / name)
        ancestor = {"key": artifact.key, "code": artifact.manifest["code"]}
        history = [*artifact.manifest["adopted_from"], ancestor]
        _publish(out, target, run, artifact.manifest["record"], adopted_from=history)
        shutil.rmtree(scratch)
    return target


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` so that a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _single_writer(scratch: Path) -> Iterator[None]:
    """Hold the lock of a run; the kernel drops it when the process dies, however it dies."""
    while True:
        scratch.mkdir(parents=True, exist_ok=True)
        lock = scratch / "lock"
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"{scratch.name}: another process is computing this run") from None
            # The winner before us removes the folder when it is done: lock what is there now.
            if not lock.exists() or not os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                continue
            yield
            return


def _publish(
    out: Path,
    target: Path,
    run: Run,
    record: dict[str, Any],
    adopted_from: list[dict[str, str]],
) -> None:
    for leftover in out.rglob(".*.tmp"):
        # Of a process that was killed while it wrote.
        leftover.unlink()
    manifest = {
        "format": _FORMAT,
        **run.as_dict(),
        "files": {
            path.relative_to(out).as_posix(): {
                "size": path.stat().st_size,
                "sha256": checksum(path),
            }
            for path in sorted(out.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        },
        "record": record,
        "adopted_from": adopted_from,
    }
    for path in out.rglob("*"):
        if path.is_file():
            _fsync(path)
    write_atomically(out / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True).encode())
    _fsync(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        # No run without a manifest: Snakemake's empty folder, or what a forced re-run left of one.
        shutil.rmtree(target)
    out.replace(target)
    _fsync(target.parent)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        complete = {"key", "settings", "files", "stage"} <= manifest.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise DamagedArtifact(f"{path / MANIFEST}: unreadable ({error}); {_remedy(path)}") from None
    if not complete or manifest.get("format") != _FORMAT or not path.name.endswith(manifest["key"]):
        raise DamagedArtifact(f"{path / MANIFEST}: not the manifest of this run; {_remedy(path)}")
    return dict(manifest)


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


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _peak_memory_mb() -> float:
    """Return the peak resident memory of this process, or of its largest child, in MiB."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in whose)
    bytes_a_unit = 1 if sys.platform == "darwin" else 1024
    return round(peak * bytes_a_unit / 2**20, 1)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _RECORDED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _git_state() -> dict[str, Any]:
    """Return the commit of the working tree and whether it has uncommitted changes."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit.strip(), "dirty": bool(_git("status", "--porcelain").strip())}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
