"""Makes a run again that is there, or that has been begun."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from distillery.core.errors import UserError
from distillery.core.locks import is_locked
from distillery.runs import stages
from distillery.runs.artifact import Artifact, is_complete, published, where
from distillery.runs.finding import split
from distillery.runs.housekeeping import remove
from distillery.runs.produce import LOCK, SCRATCH, scratch_of
from distillery.runs.run import Run, key_in


def redo(data: Path, run: Run, *, follow: bool = False) -> str:
    """Make a run anew, from the beginning, and say in a line what came of it.

    The old one is kept until the new one is whole, and put back where that fails. If their files
    differ, as they may on an accelerator, what other runs have made of the old one is outdated.

    Args:
        data: the data folder.
        run: what to make.
        follow: whether to remove these others then; the next call of the workflow makes them again.

    Raises:
        UserError: another process computes it, or the new files differ and are read by others.
    """
    scratch = scratch_of(data, run)
    if is_locked(scratch / LOCK):
        raise UserError(f"{run.name}: another process is computing this run")
    shutil.rmtree(scratch, ignore_errors=True)
    path = where(data, run.location)
    if not is_complete(path):
        return f"{stages.execute(data, run)}: made"
    # Another experiment may have made it, and called it otherwise: that is where it stays.
    run = replace(run, slug=split(path.name)[0])
    before, aside = Artifact(path).manifest["files"], data / SCRATCH / f"{run.key}.before"
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    try:
        made = stages.execute(data, run)
        after = Artifact(made).manifest["files"]
        readers = [] if after == before else _readers(data, run.key)
        if readers and not follow:
            raise UserError(
                f"{made.name}: the new files differ from the old ones, which {len(readers)} runs "
                "have read; the old run was kept. `--follow` replaces it and removes those"
            )
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        aside.rename(path)
        raise
    shutil.rmtree(aside)
    for reader in readers:
        remove(reader)
    if after == before:
        return f"{made}: made again, with the same files"
    outdated = f"; {len(readers)} runs that had read it are removed" if readers else ""
    return f"{made}: made again, with other files{outdated}"


def _readers(data: Path, key: str) -> list[Path]:
    """Return the finished runs that have read one, or what was made of it."""
    read_by = {
        path: {key_in(location) for location in Artifact(path).manifest["inputs"].values()}
        for path in published(data)
    }
    outdated, found = {key}, dict[Path, None]()
    while more := [path for path in read_by if path not in found and read_by[path] & outdated]:
        found |= dict.fromkeys(more)
        outdated |= {key_in(path.name) for path in more}
    return list(found)
