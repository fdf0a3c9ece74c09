"""Runs that were made of other contents than their inputs have now."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from toy_runs import make_run, write_value

from distillery.core.errors import UserError
from distillery.runs import apart, stages
from distillery.runs.artifact import MANIFEST, Artifact, is_complete
from distillery.runs.outdated import Outdated
from distillery.runs.produce import Workspace, produce, scratch_of
from distillery.runs.run import Run
from distillery.runs.state import states_of

FIRST = make_run(1)
SECOND = make_run(2, {"a": FIRST.location})
THIRD = make_run(3, {"b": SECOND.location})
FOURTH = make_run(4, {"c": THIRD.location})
OTHER = make_run(5)
CHAIN = (FIRST, SECOND, THIRD, FOURTH, OTHER)


def write_read(work: Workspace) -> None:
    """Write what was read, and which run this is."""
    read = {name: source.json("value.json") for name, source in work.inputs.items()}
    work.write_json("value.json", {"own": work.run.settings["value"], **read})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with all of these runs."""
    for run in CHAIN:
        produce(tmp_path, run, write_read)
    return tmp_path


def make_again(data: Path, run: Run, value: int) -> None:
    """Remove a run, and make it again with this value."""
    shutil.rmtree(data / run.location)
    produce(data, run, lambda work: work.write_json("value.json", value))


def test_what_hangs_on_other_contents_is_outdated(data: Path) -> None:
    assert Outdated(data).of(CHAIN) == set()
    shutil.rmtree(data / FIRST.location)
    assert Outdated(data).of(CHAIN) == set(), "what is not there is not missed"
    produce(data, FIRST, write_read)
    assert Outdated(data).of(CHAIN) == set(), "it came out as it was"
    make_again(data, FIRST, 7)
    hanging = {SECOND.location, THIRD.location, FOURTH.location}
    assert Outdated(data).of(CHAIN) == hanging
    assert [state.name for _, state in states_of(CHAIN, data)] == [
        "done",
        "outdated",
        "outdated",
        "outdated",
        "done",
    ]
    shutil.rmtree(data / THIRD.location)
    assert Outdated(data).of(CHAIN) == hanging, "also beyond what is missing"


def test_a_damaged_manifest_is_told_by_those_who_open_it(data: Path) -> None:
    for content in (b"", b"[]", b"{"):
        (data / FIRST.location / MANIFEST).write_bytes(content)
        assert Outdated(data).of(CHAIN) == set()


def test_an_outdated_run_is_replaced_when_the_new_one_is_whole(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_again(data, FIRST, 7)

    def fail(work: Workspace) -> None:
        assert is_complete(data / SECOND.location)
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        produce(data, SECOND, fail)
    assert Artifact(data / SECOND.location).json("value.json")["a"] == {"own": 1}
    produce(data, SECOND, write_read)
    assert "made anew, since" in capsys.readouterr().out
    assert Artifact(data / SECOND.location).json("value.json")["a"] == 7
    assert Outdated(data).of(CHAIN) == {THIRD.location, FOURTH.location}


def test_what_reads_an_outdated_run_stays_if_that_comes_out_as_before(data: Path) -> None:
    make_again(data, FIRST, 7)
    before = (data / THIRD.location / MANIFEST).stat().st_ino
    same = Artifact(data / SECOND.location).json("value.json")
    produce(data, SECOND, lambda work: work.write_json("value.json", same))
    assert produce(data, THIRD, write_value).is_dir()
    assert (data / THIRD.location / MANIFEST).stat().st_ino == before


def test_work_begun_on_other_contents_is_not_gone_on_with(data: Path) -> None:
    run = make_run(6, {"a": FIRST.location})

    def stop(work: Workspace) -> None:
        (work.scratch / "checkpoint").touch()
        (work.out / "half.json").touch()
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            produce(data, run, stop)
    assert (scratch_of(data, run) / "checkpoint").exists()
    make_again(data, FIRST, 7)

    def resume(work: Workspace) -> None:
        assert not (work.scratch / "checkpoint").exists()
        write_value(work)

    assert Artifact(produce(data, run, resume)).files == ["value.json"]


def test_runs_of_one_call_wait_for_each_other_though_all_are_there(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input of another run is computed first, whatever the order in which they are named."""
    made: list[str] = []

    class InTurn:
        def __init__(self, *_: object) -> None:
            self.running: list[apart._Child] = []

        def free(self, lanes: int) -> bool:
            return len(self.running) < lanes

        def start(self, run: Run) -> None:
            made.append(run.location)
            self.running.append(apart._Child(run, None, None))  # type: ignore[arg-type]

        def wait(self) -> list[tuple[apart._Child, int]]:
            ended, self.running = self.running, []
            return [(child, 0) for child in ended]

        def end(self, number: int) -> None:
            """Nothing has to be ended."""

    monkeypatch.setattr(apart, "_Children", InTurn)
    monkeypatch.setattr(apart, "_shares_a_device", lambda _: False)
    assert "toy" not in stages.STAGES
    assert apart.execute_all(data, [THIRD, OTHER, SECOND, FIRST], lanes=4) == 0
    assert made.index(FIRST.location) < made.index(SECOND.location) < made.index(THIRD.location)
