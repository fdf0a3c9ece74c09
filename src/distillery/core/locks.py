"""Locks between processes: the kernel drops them when their holder dies, however it dies."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout


def try_lock(path: Path) -> AbstractContextManager[object] | None:
    """Lock a file until the returned context is left; None while it cannot be had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Without flock there would be no lock that dies with its holder: that is an error here.
        return FileLock(path, fallback_to_soft=False).acquire(blocking=False)
    except (Timeout, FileNotFoundError):
        # FileNotFoundError: whoever held it has just removed the folder.
        return None
