"""Reading a teacher's cache: how long an epoch waits for its slot, and what is held in memory.

The cache has all 162 views of 50,000 images, with 100 logits and an embedding of 64 numbers in half
precision, written by the project's own writer. An epoch takes the outputs of every batch of 64 out
of its slot and then lasts as long as an accelerator would at least take to train on it.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from benchmarks.rows import Row
from distillery.data.augmentation import crop_parameters
from distillery.data.settings import Augmentation
from distillery.embeddings.reader import EmbeddingCache
from distillery.embeddings.slots import slot_bytes, slot_name, write_slot
from distillery.embeddings.views import ViewSchedule
from distillery.runs.artifact import Artifact, published
from distillery.runs.produce import Workspace, produce
from distillery.runs.run import Run

CLASSES, DIM, BATCH = 100, 64, 64
# 240 epochs in two minutes.
EPOCH_SECONDS = 0.5
SHARE, MEMORY = 0.98, 0.8
CPU = torch.device("cpu")


def measure(quick: bool = False) -> list[Row]:
    """Return the share of epochs that is not waited, and two slots in units of what is held."""
    images, slots = (10_000, 12) if quick else (50_000, 162)
    index = np.arange(images)
    with tempfile.TemporaryDirectory() as folder:
        # By another process, whose memory is not ours.
        writer = multiprocessing.get_context("fork").Process(
            target=_write_cache, args=(Path(folder), index, slots)
        )
        writer.start()
        writer.join()
        (made,) = published(Path(folder))
        first, waited, whole = _waiting(EmbeddingCache(Artifact(made), index), index, slots)
        most = _most_held(EmbeddingCache(Artifact(made), index), slots)
    seconds = whole / (slots - 1)
    size = slot_bytes(images, CLASSES + DIM, 2)
    what = f"{slots} slots of {images} images, {size / 2**20:.1f} MiB each"
    return [
        Row(
            label="share of an epoch that does not wait for its slot",
            value=1 - waited / whole,
            target=SHARE,
            note=f"{what}; epochs of {seconds:.2f} s; {1000 * waited / (slots - 1):.2f} ms an "
            f"epoch, the first slot {1000 * first:.0f} ms",
        ),
        Row(
            label="two slots / most memory held of a cache",
            value=2 * size / most,
            target=MEMORY,
            note=f"{what}; at most {most / size:.2f} slots",
        ),
    ]


def _waiting(cache: EmbeddingCache, index: np.ndarray, slots: int) -> tuple[float, float, float]:
    """Return seconds: waited for the first slot, for all others, and those of their epochs."""
    order = torch.randperm(len(index)).split(BATCH)
    first, started = 0.0, 0.0
    for number in range(slots):
        slot = cache.slot(number, CPU, _following(number, slots))
        if number == 0:
            # What nothing could hide: the network is not there yet either.
            first = cache.waited
        elif number == 1:
            started = time.perf_counter() - (cache.waited - first)
        end = time.perf_counter() + EPOCH_SECONDS * len(index) / 50_000
        for rows in order:
            slot.rows(rows)
        time.sleep(max(0.0, end - time.perf_counter()))
    return first, cache.waited - first, time.perf_counter() - started


def _most_held(cache: EmbeddingCache, slots: int) -> int:
    """Return how many bytes NumPy and Arrow have held at most, of all slots one after the other."""
    tracemalloc.start()
    for number in range(slots):
        slot = cache.slot(number, CPU, _following(number, slots))
        # Not before the next one is there.
        if cache._ahead:
            cache._ahead[1].result()
        del slot
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most + (pa.default_memory_pool().max_memory() or 0)


def _following(number: int, slots: int) -> int | None:
    return number + 1 if number + 1 < slots else None


def _write_cache(data: Path, index: np.ndarray, slots: int) -> None:
    """Write a cache of random outputs under the views of the schedule."""
    augmentation = Augmentation(pad=4, flip=True)
    settings = {
        "views": {"slots": slots, "seed": 0},
        "augmentation": augmentation.model_dump(mode="json"),
        "precision": "half",
    }
    schedule = ViewSchedule(augmentation.views, slots, 0)
    random = np.random.default_rng(0)
    logits, embedding = (
        random.standard_normal((len(index), width), dtype=np.float32).astype(np.float16)
        for width in (CLASSES, DIM)
    )

    def write(work: Workspace) -> None:
        for slot in range(slots):
            views: Tensor = torch.from_numpy(schedule.view(slot, index))
            crops = crop_parameters(views, augmentation, (32, 32))
            write_slot(work.out / slot_name(slot), index, views, crops, logits, embedding, {})
        work.write_json("cache.json", {"arch": "resnet56", "image_shape": [32, 32]})

    produce(data, Run("embed", "embeddings", "made-up", settings, {}, "code"), write)
