"""Whatever is damaged on disk is found when it is read or verified, and none of it is used."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from campaign import Campaigns, one_line
from damage import ANY, TABLES, replace
from project import Project
from undisturbed import CHANGES, Undisturbed, accepted, full, scratch
from whole import PARAMS, REPORTS, Whole

from distillery.core.errors import DamagedArtifact, UserError
from distillery.data import checking
from distillery.models import predictions
from distillery.planning import loading
from distillery.planning.plan import Plan
from distillery.reporting.page import publish
from distillery.runs import housekeeping, produce, stages
from distillery.runs.artifact import MANIFEST, Artifact
from distillery.runs.run import Run
from distillery.training import loop


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, empty])
def test_a_damaged_checkpoint_is_named_with_the_remedy(
    undisturbed: Undisturbed,
    copy: Project,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], None],
) -> None:
    run = undisturbed.run
    with monkeypatch.context() as patched:
        patched.setattr(loop, "_CHECKPOINT_SECONDS", -1.0)
        patched.setattr(predictions, "write", full)
        with pytest.raises(OSError, match="No space left"):
            stages.execute(copy.data, run)
    file = scratch(copy, run) / "checkpoint.pt"
    damage(file)
    before = file.read_bytes()
    for _ in range(2):
        with pytest.raises(DamagedArtifact) as error:
            stages.execute(copy.data, run)
        message = str(error.value)
        assert message.startswith(f"{file}: unreadable (")
        assert message.endswith(f"; delete the folder {file.parent} to begin this run again")
        assert "\n" not in message
        # Whoever wants to rescue something of it can.
        assert file.read_bytes() == before
    shutil.rmtree(file.parent)
    assert Artifact(stages.execute(copy.data, run)).manifest["files"] == undisturbed.files


@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("prepared", "info.json"),
        ("prepared", "train.parquet"),
        ("split", "train.csv"),
        ("embeddings", "cache.json"),
        ("embeddings", "slot-0000.parquet"),
    ],
)
def test_a_damaged_input_is_named_before_training_starts(
    undisturbed: Undisturbed, copy: Project, name: str, file: str, damage: Callable[[Path], None]
) -> None:
    run = undisturbed.run
    path = copy.data / run.inputs[name] / file
    damage(path)
    with pytest.raises(DamagedArtifact) as error:
        stages.execute(copy.data, run)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith(
        f"; delete the folder {path.parent} and run snakemake again to rebuild it"
    )
    assert not accepted(copy, run)
    assert list((scratch(copy, run) / "out").iterdir()) == []


def test_a_damaged_manifest_is_named_before_training_starts(
    undisturbed: Undisturbed, copy: Project
) -> None:
    for name in undisturbed.run.inputs:
        path = copy.data / undisturbed.run.inputs[name] / MANIFEST
        whole = path.read_bytes()
        truncate(path)
        with pytest.raises(DamagedArtifact, match=r"manifest\.json: unreadable .*delete the fol"):
            stages.execute(copy.data, undisturbed.run)
        path.write_bytes(whole)
    assert (
        Artifact(stages.execute(copy.data, undisturbed.run)).manifest["files"] == undisturbed.files
    )


@pytest.mark.parametrize("damage", [truncate, flip])
@pytest.mark.parametrize("stage", ["embed", "evaluate", "train-student"])
def test_damaged_weights_are_named(
    undisturbed: Undisturbed, copy: Project, stage: str, damage: Callable[[Path], None]
) -> None:
    """By whatever runs the teacher: the cache, and a method that needs its feature maps."""
    planned = copy.plan({"!methods": {"at": {}}} if stage == "train-student" else CHANGES, "faults")
    run = planned.stage(stage)[0]
    (teacher,) = planned.stage("train-teacher")
    file = "test.parquet" if stage == "evaluate" else "model.safetensors"
    path = copy.data / teacher.location / file
    damage(path)
    shutil.rmtree(copy.data / run.location, ignore_errors=True)
    with pytest.raises(DamagedArtifact) as error:
        stages.execute(copy.data, run)
    assert str(error.value).startswith(f"{path}: ")
    assert not accepted(copy, run)


# Everything, at random places


class Damaged(NamedTuple):
    """What was damaged in the copy of the project, and how it is mended."""

    how: str
    before: dict[Path, bytes]

    def mend(self) -> None:
        for file, content in self.before.items():
            replace(file, content)


class Damager:
    """Damages files in a copy of the project at random, one after the other."""

    def __init__(self, whole: Whole, folder: Path) -> None:
        self.draw = Random(0)
        self.whole = whole
        self.folder = whole.copy(folder)
        self.data = folder / "data"

    def any_run(self, stage: str) -> Run:
        return self.draw.choice(self.whole.planned.stage(stage))

    def a_file_of(self, folder: Path) -> Path:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return self.draw.choice([path for path in files if path.stat().st_size])

    def damage(self, file: Path, like: Sequence[Path] = ()) -> Damaged:
        """Damage a file; ``like`` has others of its name, which may take its place."""
        before, draw = file.read_bytes(), self.draw
        ways: dict[str, Callable[[], bytes]] = {
            how: partial(way, before, draw) for how, way in ANY.items()
        }
        if file.suffix == ".parquet":
            ways |= {how: partial(way, before, draw) for how, way in TABLES.items()}
        others = [each for each in like if each.exists() and each.read_bytes() != before]
        if others:
            ways["file of another run"] = draw.choice(others).read_bytes
        beside = [each for each in file.parent.iterdir() if each.is_file() and each != file]
        for how in draw.sample([*ways, "swapped files"], k=len(ways) + 1):
            if how == "swapped files" and beside:
                other = draw.choice(beside)
                kept = {file: before, other: other.read_bytes()}
                replace(file, kept[other])
                replace(other, before)
                return Damaged(how, kept)
            if how in ways and (content := ways[how]()) != before:
                replace(file, content)
                return Damaged(how, {file: before})
        raise AssertionError(file)

    def plan(self) -> Plan:
        with chdir(self.folder):
            return loading.load(Path(PARAMS), Path("data"))

    def verified(self) -> list[str]:
        """Return what `distillery verify` lists."""
        with chdir(self.folder):
            data = Path("data")
            _, problems = housekeeping.verify(data)
            return [*problems, *checking.problems_of_raw_files(data), *publish.verify(data)[1]]


def what_reads(damager: Damager, run: Run) -> Run | None:
    """Return a run that reads another, one that is made fast if there is one."""
    readers = [
        each for each in damager.whole.planned.runs.values() if run.location in each.inputs.values()
    ]
    damager.draw.shuffle(readers)
    return min(readers, key=lambda each: stages.STAGES[each.stage].trains, default=None)


def read_again(damager: Damager, run: Run) -> str | None:
    """Make a run again from what lies there; return why it is refused.

    If it is not, it has to have the bits that it has without any damage.
    """
    target, aside = damager.data / run.location, damager.folder / "aside"
    target.rename(aside)
    try:
        made = Artifact(stages.execute(damager.data, run))
        whole = Artifact(damager.whole.folder / "data" / run.location)
        assert made.manifest["files"] == whole.manifest["files"]
        return None
    except DamagedArtifact as error:
        return str(error)
    finally:
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(damager.data / produce.SCRATCH, ignore_errors=True)
        aside.rename(target)


REMEDIES = ("delete ", "remove it", "put back what it was")


def assert_named(line: str, damaged: Damaged, folder: Path) -> None:
    """A line has one of the damaged files, or the manifest that it is missed by, and a remedy."""
    names = [file.relative_to(folder).as_posix() for file in damaged.before]
    assert "\n" not in line
    assert any(name in line for name in names), (line, names)
    assert any(remedy in line for remedy in REMEDIES), line


@pytest.mark.slow
def test_damaged_runs_are_found_by_verify_and_by_what_reads_them(
    whole: Whole, campaign: Campaigns, tmp_path: Path
) -> None:
    damager = Damager(whole, tmp_path / "copy")
    assert damager.verified() == []
    with campaign("Damaged files of runs") as tally:
        made = [name for name in stages.STAGES if whole.planned.stage(name)]
        for stage, _ in zip(itertools.cycle(made), range(tally.of(150)), strict=False):
            run = damager.any_run(stage)
            file = damager.a_file_of(damager.data / run.location)
            name = file.relative_to(damager.data / run.location)
            twins = [damager.data / each.location / name for each in whole.planned.stage(stage)]
            damaged = damager.damage(file, twins)
            lines = damager.verified()
            if not lines:
                # A manifest's key and checksums do not cover what it records of machine and time.
                assert (file.name, damaged.how) == (MANIFEST, "flipped bit"), (file, damaged.how)
                damaged.mend()
                tally.count(f"{stage}: {damaged.how}", "not found, in the record of a manifest")
                continue
            for line in lines:
                # What was made of it has read something else, which is told of, too.
                if "was made of other contents than" not in line:
                    assert_named(line, damaged, damager.folder)
            reader = what_reads(damager, run)
            refused = read_again(damager, reader) if reader else None
            if refused:
                assert_named(refused, damaged, damager.folder)
            damaged.mend()
            tally.count(
                f"{stage}: {damaged.how}",
                "named by verify and when read" if refused else "named by verify, not read",
            )
    assert damager.verified() == []


@pytest.mark.slow
def test_damaged_reports_and_raw_files_are_found_by_verify(
    whole: Whole, campaign: Campaigns, tmp_path: Path
) -> None:
    damager = Damager(whole, tmp_path / "copy")
    keys = set(whole.planned.runs)
    with campaign("Damaged reports, markers and raw files") as tally:
        places = {
            "report": damager.folder / REPORTS,
            "marker of a report": damager.data / ".reports" / REPORTS,
            "raw images": damager.data / "raw",
        }
        for kind, _ in zip(itertools.cycle(places), range(tally.of(45)), strict=False):
            files = places[kind]
            file = damager.a_file_of(files)
            if "captions" in file.parts:
                # For Snakemake's own report alone.
                continue
            damaged = damager.damage(file)
            lines = damager.verified()
            assert lines, (file, damaged.how)
            assert all(any(remedy in line for remedy in REMEDIES) for line in lines)
            if kind == "raw images":
                # What is planned now is something else, or refused; what was made is not touched.
                try:
                    assert set(damager.plan().runs) - keys
                except UserError as error:
                    one_line(error)
            damaged.mend()
            tally.count(f"{kind}: {damaged.how}", "named by verify")


@pytest.mark.slow
def test_what_is_kept_for_speed_is_never_believed(
    whole: Whole, campaign: Campaigns, tmp_path: Path
) -> None:
    damager = Damager(whole, tmp_path / "copy")
    expected = damager.plan().model_copy(update={"looks": {}})
    kinds = ("plans", "looks", "raw")
    with campaign("Damaged files that are kept for speed") as tally:
        for kind, _ in zip(itertools.cycle(kinds), range(tally.of(30)), strict=False):
            file = damager.a_file_of(damager.data / ".cache" / kind)
            damaged = damager.damage(file)
            if kind != "plans":
                for plan in (damager.data / ".cache" / "plans").iterdir():
                    plan.unlink()
            assert damager.plan().model_copy(update={"looks": {}}) == expected
            tally.count(f"{kind}: {damaged.how}", "found out anew, same plan")


@pytest.mark.slow
def test_damaged_checkpoints_are_named_or_harmless(
    whole: Whole, campaign: Campaigns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = whole.run("train-student", "-crd-")
    copy = whole.copy(tmp_path / "copy", [student.location])
    with monkeypatch.context() as patched:
        patched.setattr(loop, "_CHECKPOINT_SECONDS", -1.0)
        patched.setattr(predictions, "write", full)
        with pytest.raises(OSError, match="No space left"):
            stages.execute(copy / "data", student)
    unfinished = copy / "data" / produce.SCRATCH / student.key
    shutil.copytree(unfinished, tmp_path / "unfinished")
    expected = Artifact(whole.folder / "data" / student.location).manifest["files"]
    draw = Random(0)
    with campaign("Damaged checkpoints") as tally:
        for how, _ in zip(itertools.cycle(ANY), range(tally.of(20)), strict=False):
            file = unfinished / "checkpoint.pt"
            replace(file, ANY[how](file.read_bytes(), draw))
            try:
                made = Artifact(stages.execute(copy / "data", student))
            except DamagedArtifact as error:
                said = one_line(error)
                tally.count(how, "named, with the remedy")
            else:
                said = None
                assert made.manifest["files"] == expected
                shutil.rmtree(made.path)
                tally.count(how, "harmless, same bits")
            if said is not None:
                assert said.startswith(f"{file}: unreadable (")
                assert "delete the folder" in said
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(tmp_path / "unfinished", unfinished)
