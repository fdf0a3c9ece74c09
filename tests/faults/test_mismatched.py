"""What belongs to something else is refused, with both sides named, or does no harm."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from campaign import Campaigns, one_line
from damage import replace
from processes import Command, wait_for
from safetensors.torch import load_file, save
from whole import PARAMS, Whole

from distillery.core.errors import DamagedArtifact
from distillery.core.files import checksum
from distillery.runs import produce, stages
from distillery.runs.artifact import MANIFEST, Artifact
from distillery.runs.run import Run

pytestmark = pytest.mark.slow


def restate(folder: Path) -> None:
    """Let a manifest have the checksums of the files that lie there, as if a tool had done it."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, entry in manifest["files"].items():
        file = folder / name
        entry |= {"size": file.stat().st_size, "sha256": checksum(file)}
    replace(folder / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True).encode())


def files_of(other: Path, folder: Path) -> None:
    """Put the files of another run in place of a run's own, under its own manifest."""
    for name in Artifact(folder).files:
        if (other / name).exists():
            replace(folder / name, (other / name).read_bytes())
    restate(folder)


def labels_out_of_range(file: Path) -> None:
    table = pq.read_table(file)
    labels = table["label"].to_pylist()
    labels[0] = 7
    column = pa.array(labels, table.schema.field("label").type)
    place = table.column_names.index("label")
    buffer = io.BytesIO()
    pq.write_table(table.set_column(place, "label", column), buffer)
    replace(file, buffer.getvalue())
    restate(file.parent)


def weights_of_three_classes(file: Path) -> None:
    weights = load_file(file)
    weights = {
        name: value[[0, 1, 1]].contiguous() if name.startswith("fc.") else value
        for name, value in weights.items()
    }
    replace(file, save(weights))
    restate(file.parent)


def refused(data: Path, run: Run) -> str:
    """Make a run from what lies there, and return the one line that it is refused with."""
    shutil.rmtree(data / run.location)
    with pytest.raises(DamagedArtifact) as error:
        stages.execute(data, run)
    return one_line(error.value)


def test_runs_that_belong_to_others(whole: Whole, campaign: Campaigns, tmp_path: Path) -> None:
    embed, student = whole.planned.stage("embed"), whole.run("train-student", "-kd-")
    own, other = sorted(embed, key=lambda run: run.location not in student.inputs.values())
    teacher, prepared = own.inputs["teacher"], own.inputs["prepared"]
    toys = whole.run("prepare", "toys")
    extract = next(run for run in whole.planned.stage("extract") if teacher in run.inputs.values())
    live = whole.run("train-student", "-fitnet-")

    def renamed(data: Path) -> None:
        shutil.rmtree(data / own.location)
        shutil.copytree(data / other.location, data / own.location)

    cases: dict[str, tuple[Callable[[Path], None], Run, tuple[str, ...]]] = {
        "the cache of another split under this name": (
            renamed,
            student,
            (own.name, other.name),
        ),
        "the files of another teacher's cache": (
            lambda data: files_of(data / other.location, data / own.location),
            student,
            (own.name,),
        ),
        "the images of another data set": (
            lambda data: files_of(data / toys.location, data / prepared),
            student,
            (prepared,),
        ),
        "labels out of range": (
            lambda data: labels_out_of_range(data / prepared / "train.parquet"),
            student,
            (prepared, "2 classes"),
        ),
        "a network of other classes, to be cached": (
            lambda data: weights_of_three_classes(data / teacher / "model.safetensors"),
            own,
            (teacher, "3", "2"),
        ),
        "a network of other classes, to be extracted": (
            lambda data: weights_of_three_classes(data / teacher / "model.safetensors"),
            extract,
            (teacher, "3", "2"),
        ),
        "a network of other classes, to teach": (
            lambda data: weights_of_three_classes(data / teacher / "model.safetensors"),
            live,
            (teacher, "3", "2"),
        ),
    }
    with campaign("What belongs to others") as tally:
        for number, (title, (mix_up, reader, named)) in enumerate(cases.items()):
            data = whole.copy(tmp_path / f"{number}") / "data"
            mix_up(data)
            line = refused(data, reader)
            assert all(name in line for name in named), (title, line)
            tally.count(title, "refused, both sides named")


def jump(seed: int) -> None:
    """Let the clock jump by up to a week, back and forth."""
    draw, real = Random(seed), time.time
    time.time = lambda: real() + draw.uniform(-604_800, 604_800)
    nanoseconds = time.time_ns
    time.time_ns = lambda: nanoseconds() + draw.randrange(-(10**15), 10**15)


def test_params_edited_and_clocks_that_jump_while_a_run_is_made(
    whole: Whole, campaign: Campaigns, tmp_path: Path
) -> None:
    student = whole.run("train-student", "-crd-")
    expected = Artifact(whole.folder / "data" / student.location).manifest["files"]
    words = ("run", student.name, "--params", PARAMS, "--data", "data")
    with campaign("Params edited, clocks that jump") as tally:
        for number in range(tally.of(4)):
            folder = whole.copy(tmp_path / f"{number}", [student.location])
            command = Command(folder, *words, before=partial(jump, number))
            scratch = folder / "data" / produce.SCRATCH / student.key
            wait_for(lambda: scratch.exists() or not command.process.is_alive(), "the run")  # noqa: B023
            params = folder / PARAMS
            edited = params.read_bytes().replace(b"kd", b"dk")
            replace(params, edited)
            os.utime(params, (0, 0))
            assert command.status() == 0, command.output()
            made = Artifact(folder / "data" / student.location)
            assert made.manifest["files"] == expected
            tally.count("both at a time", "same bits")
