"""The batches of an epoch, shared out to processes and beside what is cached for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from project import Project

from distillery.data.prepared import DataSetInfo, ImageSet, load_training
from distillery.data.settings import Augmentation
from distillery.embeddings.reader import EmbeddingCache, Slot
from distillery.embeddings.views import ViewSchedule
from distillery.runs.artifact import Artifact
from distillery.training.loader import ViewLoader
from distillery.training.loop import Phase


@pytest.mark.parametrize("processes", [2, 3])
def test_the_shares_of_processes_make_up_the_batches_of_one(
    shared_project: Project, processes: int
) -> None:
    planned = shared_project.plan()
    split = shared_project.make(planned, planned.stage("split")[0])
    prepared = Artifact(shared_project.data / split.manifest["inputs"]["prepared"])
    images = load_training(prepared, split)
    alone = _batches(images, prepared, 0, 1)
    shares = [_batches(images, prepared, rank, processes) for rank in range(processes)]
    assert len(alone) == 3
    for whole, *parts in zip(alone, *shares, strict=True):
        assert len({len(part) for part in parts}) == 1
        joined = np.stack(parts, axis=1).reshape(-1)
        assert len(whole) - len(joined) < processes
        assert np.array_equal(joined, whole[: len(joined)])


def _batches(images: ImageSet, prepared: Artifact, rank: int, processes: int) -> list[Any]:
    loader = ViewLoader(
        images,
        DataSetInfo.load(prepared),
        Augmentation(pad=1, flip=False),
        ViewSchedule(9, slots=3, seed=0),
        batch_size=32,
        seed=0,
        rank=rank,
        processes=processes,
    )
    return [item.batch.position.numpy() for item in loader.epoch(1)]


def test_a_cache_of_other_views_is_refused(shared_project: Project) -> None:
    planned = shared_project.plan({"!methods": {"kd": {}}})
    cache = shared_project.make(planned, planned.stage("embed")[0])
    prepared, split = (
        Artifact(shared_project.data / cache.manifest["inputs"][name])
        for name in ("prepared", "split")
    )
    images = load_training(prepared, split)

    def loader(seed: int) -> ViewLoader:
        return ViewLoader(
            images,
            DataSetInfo.load(prepared),
            Augmentation(pad=1, flip=False),
            ViewSchedule(9, slots=3, seed=seed),
            batch_size=32,
            seed=0,
            caches=[EmbeddingCache(cache, images.index.numpy())],
        )

    (teacher,) = next(loader(0).epoch(0)).teachers
    assert teacher.logits.shape == (32, 10)
    with pytest.raises(ValueError, match="the cached views differ from the run's schedule"):
        loader(1)


def test_a_run_reads_the_slots_of_its_epochs_and_no_other(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = project.plan({"!methods": {"kd": {}}, "embeddings": {"slots": 2}})
    (run,) = planned.stage("train-student")
    asked, read = [], EmbeddingCache._read

    def noted(self: EmbeddingCache, number: int) -> Slot:
        asked.append(number)
        return read(self, number)

    monkeypatch.setattr(EmbeddingCache, "_read", noted)
    student = project.make(planned, run)
    assert asked == [0, 1, 0]
    assert student.manifest["record"]["seconds_waited_for_cache"] >= 0


def test_a_first_stage_is_followed_by_the_first_epoch_of_the_next() -> None:
    first, last = (Phase("x", 2, lambda _: 0.1, [], then) for then in (0, None))
    assert [first.following(epoch) for epoch in range(2)] == [1, 0]
    assert [last.following(epoch) for epoch in range(2)] == [1, None]
