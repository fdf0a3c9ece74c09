from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from processes import FORKED, wait_for

from distillery.core.errors import DistilleryError
from distillery.core.locks import try_lock


def _hold(path: Path, ready: Path) -> None:
    with try_lock(path) or _none():
        ready.touch()
        time.sleep(60)


def _none() -> None:
    raise AssertionError("not locked")


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path, ready = tmp_path / "folder" / "lock", tmp_path / "ready"
    process = FORKED.Process(target=_hold, args=(path, ready))
    process.start()
    wait_for(ready.exists, "the holder")
    assert try_lock(path) is None
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    lock = try_lock(path)
    assert lock is not None
    with lock:
        assert try_lock(path) is None
    assert try_lock(path) is not None


def test_a_removed_folder_is_locked_anew(tmp_path: Path) -> None:
    """Who holds the lock of a file that is no more keeps nobody out, nor removes the new one."""
    path = tmp_path / "folder" / "lock"
    old = try_lock(path)
    assert old is not None
    shutil.rmtree(path.parent)
    new = try_lock(path)
    assert new is not None
    with new:
        with old:
            pass
        assert path.exists()
        assert try_lock(path) is None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As NFS is whose server has none."""

    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(DistilleryError, match="has no file locks") as error:
        try_lock(tmp_path / "folder" / "lock")
    assert str(error.value).startswith(f"{tmp_path / 'folder'}: ")
