from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_runs import make_run, write_value

from distillery.core.errors import Busy, DamagedArtifact
from distillery.core.locks import try_lock
from distillery.runs import produce as produce_module
from distillery.runs.artifact import MANIFEST, Artifact, is_complete
from distillery.runs.produce import Workspace, produce, republish


def test_produce_publishes_with_manifest_and_leaves_no_scratch(tmp_path: Path) -> None:
    path = produce(tmp_path, make_run(), write_value)
    artifact = Artifact(path)
    assert artifact.json("value.json") == 1
    assert artifact.settings == {"value": 1}
    assert artifact.manifest["record"]["versions"]["python"]
    assert artifact.manifest["record"]["peak_memory_mb"] > 0
    assert artifact.problems() == []
    assert not (tmp_path / ".scratch" / make_run().name).exists()


def test_an_existing_run_is_not_computed_again(tmp_path: Path) -> None:
    produce(tmp_path, make_run(), write_value)

    def fail(work: Workspace) -> None:
        raise AssertionError("computed again")

    assert produce(tmp_path, make_run(), fail).is_dir()


def test_what_a_library_left_unfinished_is_not_published(tmp_path: Path) -> None:
    """Safetensors, for one, writes under a random hidden name and renames."""

    def killed(work: Workspace) -> None:
        (work.out / ".tmp2ZrhYe").touch()
        (work.out / "slot-0000.parquet").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        produce(tmp_path, make_run(), killed)
    artifact = Artifact(produce(tmp_path, make_run(), write_value))
    assert sorted(artifact.files) == ["slot-0000.parquet", "value.json"]
    assert artifact.problems() == []


def test_a_failed_run_is_not_published_and_keeps_its_scratch(tmp_path: Path) -> None:
    def fail(work: Workspace) -> None:
        (work.scratch / "checkpoint").touch()
        work.write_json("half.json", 1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        produce(tmp_path, make_run(), fail)
    assert not (tmp_path / make_run().location).exists()

    def resume(work: Workspace) -> None:
        assert (work.scratch / "checkpoint").exists()
        write_value(work)

    assert is_complete(produce(tmp_path, make_run(), resume))


def test_a_folder_without_manifest_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / make_run().location
    folder.mkdir(parents=True)
    (folder / "debris").touch()
    produce(tmp_path, make_run(), write_value)
    assert Artifact(folder).problems() == []


def _hold(data: Path, ready: str) -> None:
    def wait(work: Workspace) -> None:
        Path(ready).touch()
        time.sleep(60)

    produce(data, make_run(), wait)


def test_one_writer_at_a_time_and_a_killed_one_frees_the_run(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path, str(ready)))
    process.start()
    while not ready.exists():
        time.sleep(0.01)
    with pytest.raises(Busy):
        produce(tmp_path, make_run(), write_value)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert is_complete(produce(tmp_path, make_run(), write_value))


def test_adoption_records_where_a_run_came_from(tmp_path: Path) -> None:
    source = produce(tmp_path, make_run(code="old"), write_value)
    target = republish(tmp_path, source, make_run(code="new"))
    manifest = json.loads((target / MANIFEST).read_text())
    assert manifest["code"] == "new"
    assert manifest["adopted_from"] == [
        {"key": make_run(code="old").key, "code": "old", "checked": None}
    ]
    assert Artifact(target).json("value.json") == 1
    assert Artifact(target).problems() == []


def test_a_damaged_run_is_not_adopted(tmp_path: Path) -> None:
    source = produce(tmp_path, make_run(code="old"), write_value)
    (source / "value.json").write_text("7\n")
    with pytest.raises(DamagedArtifact):
        republish(tmp_path, source, make_run(code="new"))


def test_waiting_writers_see_a_run_that_was_made_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner removes the folder with the lock between two steps of the other."""
    monkeypatch.setattr(produce_module, "try_lock", _removed_at_first(try_lock))
    assert is_complete(produce(tmp_path, make_run(), write_value))


def _removed_at_first(original: Callable[[Path], Any]) -> Callable[[Path], Any]:
    calls: list[Path] = []

    def lock(path: Path) -> Any:
        calls.append(path)
        return original(path) if len(calls) > 1 else None

    return lock
