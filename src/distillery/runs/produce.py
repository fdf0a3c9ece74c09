"""Making a run: one writer, one atomic publish.

While a run is being made, its files and checkpoints lie in ``data/.scratch/<key>/``, which
survives interruptions; the finished folder is renamed into place after its manifest is on disk. So
an existing run directory is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distillery.core.errors import DamagedArtifact, DistilleryError, Interrupted, NotMade
from distillery.core.files import checksum, fsync, write_atomically
from distillery.core.locks import wait_for_lock
from distillery.runs.artifact import FORMAT, MANIFEST, Artifact, is_complete, open_input, where
from distillery.runs.finding import split
from distillery.runs.outdated import Outdated
from distillery.runs.provenance import Recorder
from distillery.runs.run import Run

SCRATCH = ".scratch"
LOCK = "lock"
_FAILURE = "failure.txt"
_READ = "inputs.json"
RAW = "raw"


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

    A run that another process is computing is waited for. One that is there but has read other
    contents than its inputs have now is made anew, and replaced when the new one is whole. It is an
    error when an input has not been made or does not match its manifest.
    """
    scratch = scratch_of(data, run)
    with _single_writer(run, scratch):
        target = where(data, run.location)
        if is_complete(target):
            changed = Outdated(data).changed(run)
            if not changed:
                shutil.rmtree(scratch)
                return target
            print(f"{run.name}: made anew, since {changed[0]} has other contents by now")
            # It stays what it was called, whatever this plan calls it.
            run = replace(run, slug=split(target.name)[0])
        recorder = Recorder()
        with _noted_failure(scratch):
            inputs = {
                name: open_input(data, location, run.location)
                for name, location in run.inputs.items()
            }
            read = {name: source.contents for name, source in inputs.items()}
            _forget_work_on_others(scratch, read)
            workspace = Workspace(run, inputs, data / RAW, scratch / "out", scratch)
            workspace.out.mkdir(exist_ok=True)
            # What a library was writing under a name of its own when the last attempt was killed.
            for unfinished in workspace.out.glob(".*"):
                unfinished.unlink()
            compute(workspace)
        made = {**recorder.record(), **workspace.record}
        record = {"params": run.params, **made, "inputs": read}
        _publish(workspace.out, target, run, record, adopted_from=[])
        # The lock file goes last, while the lock is held: a waiting process re-checks `target`.
        shutil.rmtree(scratch)
    return target


def republish(data: Path, source: Path, run: Run, checked: Mapping[str, int] | None = None) -> Path:
    """Publish the files of ``source`` again as ``run``, and record where they came from.

    The files are hard-linked where the file system allows it, so that nothing is stored twice.

    Args:
        data: the data folder.
        source: directory of the run that earlier code made.
        run: the run that it now counts as.
        checked: how many runs (``checked``) of how many (``of``) were computed again and agreed;
            None if nobody looked.

    Raises:
        DamagedArtifact: ``source`` does not match its manifest.
    """
    artifact = Artifact(source)
    problems = artifact.problems()
    if problems:
        raise DamagedArtifact(problems[0])
    scratch = scratch_of(data, run)
    with _single_writer(run, scratch):
        target = where(data, run.location)
        if is_complete(target):
            shutil.rmtree(scratch)
            return target
        out = scratch / "out"
        shutil.rmtree(out, ignore_errors=True)
        for name in artifact.files:
            _link_or_copy(source / name, out / name)
        ancestor = {"key": artifact.key, "code": artifact.manifest["code"], "checked": checked}
        history = [*artifact.manifest["adopted_from"], ancestor]
        _publish(out, target, run, artifact.manifest["record"], adopted_from=history)
        shutil.rmtree(scratch)
    return target


def scratch_of(data: Path, run: Run) -> Path:
    """Return where a run is being made: the same whatever a plan calls it."""
    return data / SCRATCH / run.key


@contextlib.contextmanager
def _single_writer(run: Run, scratch: Path) -> Iterator[None]:
    """Hold the lock of a run, after whoever holds it now."""
    told = f"{run.name}: another process is computing this run; waiting for it"
    with wait_for_lock(scratch / LOCK, told):
        yield


def _forget_work_on_others(scratch: Path, read: Mapping[str, str]) -> None:
    """Begin from the beginning where an earlier attempt has read other contents.

    Args:
        scratch: where the run is being made.
        read: name of an input -> digest of its contents.
    """
    note = scratch / _READ
    text = json.dumps(read, sort_keys=True)
    if note.exists() and note.read_text(encoding="utf-8") != text:
        for path in scratch.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
    write_atomically(note, text.encode())


def failure_of(scratch: Path) -> str | None:
    """Return in a line why the last attempt to make a run failed; None if it did not."""
    try:
        return " ".join((scratch / _FAILURE).read_text(encoding="utf-8").split())
    except OSError:
        return None


@contextlib.contextmanager
def _noted_failure(scratch: Path) -> Iterator[None]:
    """Keep in ``scratch`` why a run fails, for whoever asks.

    That it was asked to stop, or has to wait for an input, is no failure.
    """
    note = scratch / _FAILURE
    note.unlink(missing_ok=True)
    try:
        yield
    except (Interrupted, NotMade):
        raise
    except Exception as error:
        kind = "" if isinstance(error, DistilleryError) else f"{type(error).__name__}: "
        with contextlib.suppress(OSError):
            note.write_text(f"{kind}{error}", encoding="utf-8")
        raise


def _publish(
    out: Path,
    target: Path,
    run: Run,
    record: Mapping[str, Any],
    adopted_from: list[dict[str, Any]],
) -> None:
    for leftover in out.rglob(".*.tmp"):
        # Of a process that was killed while it wrote.
        leftover.unlink()
    manifest = {
        "format": FORMAT,
        **run.described(),
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
            fsync(path)
    write_atomically(out / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True).encode())
    fsync(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        # An outdated run, or none: Snakemake's empty folder, what a forced re-run left of one. The
        # manifest goes first, so that what is half removed does not look complete.
        (target / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(target)
    out.replace(target)
    fsync(target.parent)


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
