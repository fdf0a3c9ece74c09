from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from processes import FORKED, wait_for

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
