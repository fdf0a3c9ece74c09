from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from toy_runs import make_run, write_value

from distillery.core.errors import DamagedArtifact
from distillery.runs.artifact import MANIFEST, Artifact, is_complete
from distillery.runs.produce import SCRATCH, Workspace, produce, republish


def test_produce_publishes_with_manifest_and_leaves_no_scratch(tmp_path: Path) -> None:
    path = produce(tmp_path, make_run(), write_value)
    artifact = Artifact(path)
    assert artifact.json("value.json") == 1
    assert artifact.settings == {"value": 1}
    assert artifact.manifest["record"]["versions"]["python"]
    assert artifact.manifest["record"]["peak_memory_mb"] > 0
    assert artifact.problems() == []
    assert not (tmp_path / ".scratch" / make_run().key).exists()


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


def test_one_writer_at_a_time_and_a_killed_one_frees_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = tmp_path / "ready"
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path, str(ready)))
    process.start()
    while not ready.exists():
        time.sleep(0.01)
    waiting = ThreadPoolExecutor().submit(produce, tmp_path, make_run(), write_value)
    with pytest.raises(TimeoutError):
        waiting.result(timeout=0.5)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert is_complete(waiting.result(timeout=300))
    assert "another process is computing this run; waiting" in capsys.readouterr().out


def test_who_waited_for_a_run_takes_it_as_it_is(tmp_path: Path) -> None:
    """And leaves nothing of its own waiting behind."""
    run, begun, finish = make_run(), threading.Event(), threading.Event()

    def slowly(work: Workspace) -> None:
        begun.set()
        assert finish.wait(30)
        write_value(work)

    def never(work: Workspace) -> None:
        raise AssertionError("computed twice")

    with ThreadPoolExecutor() as threads:
        first = threads.submit(produce, tmp_path, run, slowly)
        assert begun.wait(30)
        second = threads.submit(produce, tmp_path, run, never)
        finish.set()
        assert first.result(30) == second.result(30) == tmp_path / run.location
    assert not list((tmp_path / SCRATCH).glob("*"))


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
