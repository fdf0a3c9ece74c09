"""The states of a run, as it leaves them on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_runs import make_run, write_value

from distillery.core.errors import DamagedArtifact, Interrupted, NotMade, UserError
from distillery.core.locks import try_lock
from distillery.core.progress import Noted, Progress
from distillery.runs.produce import LOCK, Workspace, produce, scratch_of
from distillery.runs.state import State, states_of


def state(data: Path) -> State:
    ((_, found),) = states_of([make_run()], data)
    return found


def failing(work: Workspace) -> None:
    raise UserError("too few images")


def broken(work: Workspace) -> None:
    raise ValueError("not\nso")


def interrupted(work: Workspace) -> None:
    with Progress("epochs", 5, 1, work.scratch) as progress:
        progress.advance()
    raise Interrupted("stopped")


def test_what_was_never_begun_waits_and_what_is_whole_is_done(tmp_path: Path) -> None:
    assert state(tmp_path) == State("waiting")
    produce(tmp_path, make_run(), write_value)
    assert state(tmp_path) == State("done")


def test_a_failure_is_kept_until_the_next_attempt(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        produce(tmp_path, make_run(), failing)
    assert state(tmp_path) == State("failed", None, "too few images")
    with pytest.raises(ValueError, match="not"):
        produce(tmp_path, make_run(), broken)
    assert state(tmp_path).reason == "ValueError: not so"
    with pytest.raises(Interrupted):
        produce(tmp_path, make_run(), interrupted)
    assert state(tmp_path).name == "stopped"


def test_a_missing_input_is_waited_for_and_a_damaged_one_is_a_failure(tmp_path: Path) -> None:
    read = make_run(1)
    reader = make_run(2, {"a": read.location})
    with pytest.raises(NotMade):
        produce(tmp_path, reader, write_value)
    assert [found.name for _, found in states_of([reader], tmp_path)] == ["waiting"]
    manifest = produce(tmp_path, read, write_value) / "manifest.json"
    manifest.write_text("{")
    with pytest.raises(DamagedArtifact):
        produce(tmp_path, reader, write_value)
    ((_, found),) = states_of([reader], tmp_path)
    assert found.name == "failed"
    assert str(manifest) in found.reason


def test_progress_is_noted_with_the_time_that_is_left(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        produce(tmp_path, make_run(), interrupted)
    found = state(tmp_path)
    assert found.progress
    assert (found.progress.done, found.progress.total, found.progress.unit) == (2, 5, "epochs")
    noted = Noted(unit="epochs", done=2, total=5, seconds_each=10, at=100)
    assert noted.seconds_left(100) == 30
    assert noted.seconds_left(104) == 26
    assert noted.seconds_left(1000) == 0


def test_a_run_whose_lock_is_held_is_running(tmp_path: Path) -> None:
    scratch = scratch_of(tmp_path, make_run())
    lock = try_lock(scratch / LOCK)
    assert lock
    with lock:
        assert state(tmp_path).name == "running"
    # An input was missing, perhaps: nothing but the lock is left.
    assert state(tmp_path).name == "waiting"


def test_looking_does_not_keep_a_run_from_being_made(tmp_path: Path) -> None:
    """Whoever looks holds the lock for a moment, which the run waits for."""
    import fcntl
    import threading

    path = scratch_of(tmp_path, make_run()) / LOCK
    path.parent.mkdir(parents=True)
    with path.open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.01, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        produce(tmp_path, make_run(), write_value)
    assert state(tmp_path).name == "done"
