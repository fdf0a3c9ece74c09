"""How cost grows with images, views, negatives, classes and runs; 1 for the least of each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import made_up
from benchmarks.rows import Row, ratio_row
from benchmarks.startup import EXPERIMENT
from benchmarks.timing import in_turn, seconds
from benchmarks.training_step import Ours
from distillery.data.settings import Augmentation
from distillery.embeddings import embed

PAIR = made_up.PAIRS["resnet56→resnet20"]


def measure(quick: bool = False) -> list[Row]:
    """Return what more of each costs, in units of the least of it."""
    rounds = 1 if quick else 2
    return [
        *_steps(
            "images n",
            "crd",
            "images",
            (25_000, 50_000, 100_000),
            rounds,
            "banks and the order of all images",
        ),
        *_steps("images n", "kd", "images", (25_000, 100_000), rounds, "a step does not see n"),
        *_steps(
            "negatives K",
            "crd",
            "negatives",
            (1024, 4096, 16_384),
            rounds,
            "products with the negatives",
        ),
        *_steps("classes", "kd", "classes", (10, 100, 1000), rounds, "logits alone"),
        *_cached_views(rounds),
        *_planned_runs(rounds),
    ]


def _steps(
    what: str, method: str, varied: str, values: tuple[int, ...], rounds: int, note: str
) -> list[Row]:
    candidates: dict[int, Callable[[], float]] = {}
    for value in values:
        given: Mapping[str, Any] = {varied: value}
        if varied == "negatives":
            given = {"options": given}
        candidates[value] = Ours(PAIR, method, timed=5, **given)
    return _rows(f"step of {method}, {what}", candidates, rounds, note)


def _cached_views(rounds: int) -> list[Row]:
    """Return the cost of caching a teacher's outputs for more views of 1,000 images."""
    images, augmentation = made_up.image_set(1000), Augmentation()
    network = made_up.network("resnet20").eval()
    info = made_up.info()

    def cache(views: int) -> None:
        for view in range(views):
            numbers = torch.full((1000,), view)
            embed.outputs(network, images, info, augmentation, numbers)

    cache(1)
    candidates = {views: lambda views=views: seconds(lambda: cache(views)) for views in (1, 2, 4)}
    return _rows("embed, views V", candidates, rounds, "one forward pass of the teacher a view")


def _planned_runs(rounds: int) -> list[Row]:
    """Return the cost of planning more runs, without what is kept of earlier plans."""
    from distillery.experiment import reading
    from distillery.planning.build import build

    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for students in (250, 500, 1000):
            files[students] = Path(folder, f"{students}.yaml")
            seeds = ", ".join(map(str, range(students)))
            files[students].write_text(EXPERIMENT.replace("SEEDS", seeds), encoding="utf-8")
        # The first plan imports methods and models.
        build(reading.load(files[250]), files[250])
        candidates = {
            students: lambda file=file: seconds(lambda: build(reading.load(file), file))
            for students, file in files.items()
        }
        return _rows("plan, students", candidates, rounds, "keys and schema checks of each run")


def _rows(
    what: str, candidates: Mapping[int, Callable[[], float]], rounds: int, note: str
) -> list[Row]:
    taken = in_turn({str(value): part for value, part in candidates.items()}, rounds)
    least, *others = candidates
    first: np.ndarray = taken[str(least)]
    return [
        ratio_row(
            f"{what}: {value:,} / {least:,}",
            taken[str(value)],
            first,
            note=f"{note}; {1000 * first.min():.0f} ms at {least:,}",
            at_most=True,
        )
        for value in others
    ]
