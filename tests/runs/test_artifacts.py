from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from distillery.core.errors import Busy, DamagedArtifact, UserError
from distillery.runs import artifacts
from distillery.runs.artifacts import Artifact, Run, Workspace, produce


def make_run(value: int = 1, inputs: dict[str, str] | None = None, code: str = "c") -> Run:
    return Run("toy", "toys", "toy", {"value": value}, inputs or {}, code)


def write_value(work: Workspace) -> None:
    work.write_json("value.json", work.run.settings["value"])


def test_key_depends_on_settings_inputs_and_code_but_not_on_the_slug() -> None:
    base = make_run()
    assert base.key == make_run().key
    assert base.key != make_run(2).key
    assert base.key != make_run(code="d").key
    assert base.key != make_run(inputs={"a": f"toys/x-{'0' * 16}"}).key
    first = make_run(inputs={"a": f"toys/x-{'0' * 16}"})
    assert first.key == make_run(inputs={"a": f"other/name-{'0' * 16}"}).key


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

    assert artifacts.is_complete(produce(tmp_path, make_run(), resume))


def test_a_folder_without_manifest_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / make_run().location
    folder.mkdir(parents=True)
    (folder / "debris").touch()
    produce(tmp_path, make_run(), write_value)
    assert Artifact(folder).problems() == []


def test_missing_input_is_named(tmp_path: Path) -> None:
    run = make_run(inputs={"a": f"toys/x-{'0' * 16}"})
    with pytest.raises(UserError, match=r"toys/x-0+: this run has not been made"):
        produce(tmp_path, run, write_value)


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
    assert artifacts.is_complete(produce(tmp_path, make_run(), write_value))


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "add"])
def test_damage_is_detected(tmp_path: Path, damage: str) -> None:
    path = produce(tmp_path, make_run(12345), write_value)
    file = path / "value.json"
    if damage == "flip":
        file.write_text("12346\n")
    elif damage == "truncate":
        file.write_text("1")
    elif damage == "delete":
        file.unlink()
    else:
        (path / "stranger").touch()
    assert len(Artifact(path).problems()) == 1
    if damage != "add":
        with pytest.raises(DamagedArtifact, match=r"value\.json.*delete the folder"):
            Artifact(path).file("value.json")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 99}'])
def test_a_broken_manifest_is_refused(tmp_path: Path, content: str) -> None:
    path = produce(tmp_path, make_run(), write_value)
    (path / artifacts.MANIFEST).write_text(content)
    with pytest.raises(DamagedArtifact, match=r"manifest\.json"):
        Artifact(path)


def test_a_manifest_of_another_run_is_refused(tmp_path: Path) -> None:
    first = produce(tmp_path, make_run(1), write_value)
    second = produce(tmp_path, make_run(2), write_value)
    (second / artifacts.MANIFEST).write_bytes((first / artifacts.MANIFEST).read_bytes())
    with pytest.raises(DamagedArtifact, match="not the manifest of this run"):
        Artifact(second)


def test_adoption_records_where_a_run_came_from(tmp_path: Path) -> None:
    source = produce(tmp_path, make_run(code="old"), write_value)
    target = artifacts.adopt(tmp_path, source, make_run(code="new"))
    manifest = json.loads((target / artifacts.MANIFEST).read_text())
    assert manifest["code"] == "new"
    assert manifest["adopted_from"] == [{"key": make_run(code="old").key, "code": "old"}]
    assert Artifact(target).json("value.json") == 1
    assert Artifact(target).problems() == []


def test_a_damaged_run_is_not_adopted(tmp_path: Path) -> None:
    source = produce(tmp_path, make_run(code="old"), write_value)
    (source / "value.json").write_text("7\n")
    with pytest.raises(DamagedArtifact):
        artifacts.adopt(tmp_path, source, make_run(code="new"))
