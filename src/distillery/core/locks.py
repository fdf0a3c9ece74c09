"""Locks between processes: the kernel drops them when their holder dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import time
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout

from distillery.core.errors import DistilleryError

_SECONDS_BETWEEN_TRIES = 0.2
# NFS whose server has no locks says ENOLCK, others that they do not know the call.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


def try_lock(path: Path) -> AbstractContextManager[object] | None:
    """Lock a file until the returned context is left; None while it cannot be had.

    Raises:
        DistilleryError: the file system has no locks that die with their holder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(path, fallback_to_soft=False).acquire(blocking=False)
    except (Timeout, FileNotFoundError):
        # FileNotFoundError: whoever held it has just removed the folder.
        return None
    except NotImplementedError:
        raise _without_locks(path.parent) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise _without_locks(path.parent) from None


def _without_locks(folder: Path) -> DistilleryError:
    return DistilleryError(
        f"{folder}: this file system has no file locks (flock), without which two processes could "
        "write the same run; put the data folder on one that has"
    )


def wait_for_lock(path: Path, told: str) -> AbstractContextManager[object]:
    """Lock a file as soon as it can be had; print ``told`` once if that is not at once."""
    has_told = False
    while (lock := try_lock(path)) is None:
        # Whoever held it removes its folder when it is done, and it can be had where it was.
        if path.exists() and not has_told:
            print(told, flush=True)
            has_told = True
        time.sleep(_SECONDS_BETWEEN_TRIES)
    return lock


def is_locked(path: Path) -> bool:
    """Tell whether another process holds the lock of a file, which is held for a moment to see."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
