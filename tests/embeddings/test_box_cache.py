"""The cache of random boxes, and of images that stay on disk, equals the live teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from project import Project

from distillery.core.errors import DamagedArtifact
from distillery.data.augmentation import apply_views, crop_parameters, normalise
from distillery.data.boxes import draw
from distillery.data.prepared import DataSetInfo, load_training
from distillery.data.settings import Augmentation
from distillery.embeddings.reader import EmbeddingCache
from distillery.embeddings.slots import slot_name, views_of
from distillery.embeddings.views import ViewSchedule
from distillery.models.weights import load_network
from distillery.planning.plan import Plan
from distillery.runs.artifact import Artifact
from distillery.training.loader import Item, ViewLoader

CPU = torch.device("cpu")
RANDOM = {"kind": "random-resized-crop", "flip": True, "scale": [0.3, 1.0]}


def changes(**data: Any) -> dict[str, Any]:
    return {
        "!data": {
            "source": "digits",
            "split": {"per_class": 6},
            "augmentation": RANDOM,
            **data,
        },
        "!methods": {"kd": {}},
        "embeddings": {"slots": 5, "precision": "single"},
    }


def made(project: Project, name: str, **data: Any) -> tuple[Plan, Artifact]:
    planned = project.plan(changes(**data), name)
    return planned, project.make(planned, planned.stage("embed")[0])


def inputs(project: Project, cache: Artifact) -> tuple[Artifact, Artifact, Artifact]:
    prepared, split, teacher = (
        Artifact(project.data / cache.manifest["inputs"][name])
        for name in ("prepared", "split", "teacher")
    )
    return prepared, split, teacher


@pytest.mark.parametrize("size", [None, 12])
def test_cached_outputs_equal_the_live_teacher(shared_project: Project, size: int | None) -> None:
    augmentation = {**RANDOM, "size": size}
    _, cache = made(shared_project, f"boxes-{size}", augmentation=augmentation)
    prepared, split, teacher = inputs(shared_project, cache)
    info, images = DataSetInfo.load(prepared), load_training(prepared, split)
    network, settings = load_network(teacher, info), Augmentation(**augmentation)
    reader, seen = EmbeddingCache(cache, images.index.numpy()), []
    for number in range(5):
        slot = reader.slot(number, CPU)
        seen.append(slot.views)
        pixels = apply_views(images.images, crop_parameters(slot.views, settings, (8, 8)), settings)
        assert pixels.shape[1:] == ((size or 8), (size or 8), 1)
        with torch.inference_mode():
            live = network(normalise(pixels, info.mean, info.std))
        cached = slot.rows(torch.arange(len(images)))
        torch.testing.assert_close(cached.logits, live.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(cached.embedding, live.embedding, rtol=1e-5, atol=1e-5)
    assert len(torch.cat(seen).unique()) == 5 * len(images)


def test_a_slot_holds_the_boxes(shared_project: Project) -> None:
    _, cache = made(shared_project, "boxes-None")
    table = pq.read_table(cache.file(slot_name(0)))
    columns = {field.name: str(field.type) for field in table.schema}
    assert list(columns.items())[:7] == [
        ("index", "int32"),
        ("crop_top", "int16"),
        ("crop_left", "int16"),
        ("flip", "bool"),
        ("crop_height", "int16"),
        ("crop_width", "int16"),
        ("view", "int64"),
    ]
    boxes = draw(torch.from_numpy(table["view"].to_numpy().copy()), Augmentation(**RANDOM), (8, 8))
    assert table["crop_height"].to_pylist() == boxes.height.tolist()
    assert table["flip"].to_pylist() == boxes.flip.tolist()


def test_boxes_that_were_drawn_otherwise_are_noticed(shared_project: Project) -> None:
    _, cache = made(shared_project, "boxes-None")
    table = pq.read_table(cache.file(slot_name(0)))
    augmentation = Augmentation(**RANDOM)
    assert len(views_of(table, augmentation, (8, 8))) == len(table)
    number = table.column_names.index("crop_width")
    wider = pa.array(table["crop_width"].to_numpy() + np.int16(1))
    with pytest.raises(DamagedArtifact, match="crop_width: differs from the boxes"):
        views_of(table.set_column(number, "crop_width", wider), augmentation, (8, 8))


def items(project: Project, cache: Artifact, prepared: Artifact) -> list[Item]:
    _, split, _ = inputs(project, cache)
    images = load_training(prepared, split)
    loader = ViewLoader(
        images,
        DataSetInfo.load(prepared),
        Augmentation(**RANDOM),
        ViewSchedule(Augmentation(**RANDOM).views, slots=5, seed=0),
        batch_size=16,
        seed=3,
        caches=[EmbeddingCache(cache, images.index.numpy())],
    )
    return [item for epoch in range(2) for item in loader.epoch(epoch)]


def test_images_on_disk_give_the_same_cache_and_batches(shared_project: Project) -> None:
    _, in_memory = made(shared_project, "boxes-None")
    _, on_disk = made(shared_project, "boxes-disk", streamed=True)
    assert in_memory.path != on_disk.path
    assert in_memory.file(slot_name(0)) != on_disk.file(slot_name(0))
    for number in range(5):
        one, other = (pq.read_table(each.file(slot_name(number))) for each in (in_memory, on_disk))
        assert one.equals(other)
    memory_items, disk_items = (
        items(shared_project, cache, inputs(shared_project, cache)[0])
        for cache in (in_memory, on_disk)
    )
    assert len(memory_items) == len(disk_items) == 8
    for one, other in zip(memory_items, disk_items, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.batch.position, other.batch.position)
        (cached,), (also_cached,) = one.teachers, other.teachers
        assert torch.equal(cached.logits, also_cached.logits)
