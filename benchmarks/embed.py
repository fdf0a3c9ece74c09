"""The stage ``embed`` beside the bare forward pass of its teacher.

Bare is the network in inference mode over batches that are ready, as many and as large as those of
``embed``, on as many threads. ``embed`` is the whole stage, up to the published run.
"""

from __future__ import annotations

import itertools
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.rows import Row, ratio_row
from benchmarks.timing import in_turn, seconds
from distillery.data import prepare, split
from distillery.data.info import DataSetInfo
from distillery.data.prepared import load_training
from distillery.data.settings import Source, Split
from distillery.embeddings import embed
from distillery.models.inference import batch_size, in_batches
from distillery.models.registry import build
from distillery.models.weights import WEIGHTS, load_network, save_network
from distillery.runs.artifact import Artifact
from distillery.runs.produce import Workspace, produce
from distillery.runs.run import Run

TEACHERS = ("resnet20", "resnet56")
SLOTS = 3
TARGET = 0.92


def measure(quick: bool = False) -> list[Row]:
    """Return the speed of ``embed`` in units of the bare forward pass's, a row a teacher."""
    with tempfile.TemporaryDirectory() as folder:
        return [_row(Path(folder), arch, quick) for arch in TEACHERS[: 1 if quick else None]]


def _row(data: Path, arch: str, quick: bool) -> Row:
    rounds = 3 if quick else 5
    inputs = _inputs(data, arch)
    images = load_training(inputs["prepared"], inputs["split"])
    info = DataSetInfo.load(inputs["prepared"])
    network = load_network(inputs["teacher"], info).to(memory_format=torch.channels_last)
    batch = batch_size(images)
    sizes = [len(rows) for rows in in_batches(len(images), batch)] * SLOTS
    ready = {
        size: torch.randn(size, 3, 32, 32).to(memory_format=torch.channels_last)
        for size in set(sizes)
    }
    seeds = itertools.count()

    @torch.inference_mode()
    def forward() -> None:
        for size in sizes:
            network(ready[size])

    def whole() -> None:
        _embed(data, inputs, SLOTS, next(seeds))

    parts = {"bare": forward, "embed": whole}
    for part in parts.values():
        part()
    times = in_turn({name: partial(seconds, part) for name, part in parts.items()}, rounds)
    bare, embedded = times["bare"], times["embed"]
    note = (
        f"{SLOTS} slots of {len(images)} images of 32 x 32, batches of {batch}; "
        f"{embedded.min():.2f} s, bare {bare.min():.2f} s"
    )
    return ratio_row(f"embed / bare forward, {arch}", bare, embedded, TARGET, note)


def _inputs(data: Path, arch: str) -> dict[str, Artifact]:
    """Return drawn images, all of them for training, and a network that has learned nothing."""
    source = Source(source="shapes", image_size=32, channels=3).model_dump(mode="json")
    prepared = _made(data, Run("prepare", "prepared", "shapes", source, {}, "code"), prepare.run)
    info = DataSetInfo.load(prepared)
    divided = Run(
        "split",
        "prepared",
        "split",
        Split().model_dump(mode="json"),
        {"prepared": _location(data, prepared)},
        "code",
    )
    taught = Run("train-teacher", "teachers", arch, {"arch": arch, "channels": None}, {}, "code")

    def untrained(work: Workspace) -> None:
        torch.manual_seed(0)
        save_network(build(arch, num_classes=len(info.classes)), work.out / WEIGHTS)

    return {
        "prepared": prepared,
        "split": _made(data, divided, split.run),
        "teacher": _made(data, taught, untrained),
    }


def _embed(data: Path, inputs: dict[str, Artifact], slots: int, seed: int) -> None:
    settings = {
        "views": {"slots": slots, "seed": seed},
        "augmentation": {"pad": 4, "flip": True},
        "precision": "half",
    }
    locations = {name: _location(data, each) for name, each in inputs.items()}
    slug = inputs["teacher"].path.name
    _made(data, Run("embed", "embeddings", slug, settings, locations, "code"), embed.run)


def _made(data: Path, run: Run, compute: Any) -> Artifact:
    return Artifact(produce(data, run, compute))


def _location(data: Path, artifact: Artifact) -> str:
    return artifact.path.relative_to(data).as_posix()
