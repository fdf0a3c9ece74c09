"""The cache equals the live teacher on the same augmented pixels, for every view."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from project import Project

from distillery.core.errors import DamagedArtifact
from distillery.data.augmentation import augment, decode, identity_view, normalise
from distillery.data.prepared import DataSetInfo, load_training
from distillery.data.settings import Augmentation
from distillery.embeddings.reader import EmbeddingCache
from distillery.embeddings.slots import slot_name
from distillery.models.weights import load_network
from distillery.planning.plan import Plan
from distillery.runs import stages
from distillery.runs.artifact import Artifact

CPU = torch.device("cpu")
ALL_VIEWS = {
    # Crop with padding 4 and flip, as on 32x32 images: 162 views.
    "data": {"augmentation": {"pad": 4, "flip": True}, "split": {"per_class": 2}},
    "!methods": {"kd": {}},
    "embeddings": {"slots": 162},
}


def made(project: Project, changes: dict[str, Any], name: str) -> tuple[Plan, Artifact]:
    planned = project.plan(changes, name)
    return planned, project.make(planned, planned.stage("embed")[0])


def opened(project: Project, planned: Plan, cache: Artifact) -> EmbeddingCache:
    images = load_training(*(_input(project, planned, cache, n) for n in ("prepared", "split")))
    return EmbeddingCache(cache, images.index.numpy())


def _input(project: Project, planned: Plan, artifact: Artifact, name: str) -> Artifact:
    return Artifact(project.data / artifact.manifest["inputs"][name])


@pytest.mark.parametrize("precision", ["single", "half"])
def test_cached_outputs_equal_the_live_teacher_in_every_view(
    shared_project: Project, precision: str
) -> None:
    changes = {**ALL_VIEWS, "embeddings": {"slots": 162, "precision": precision}}
    planned, cache = made(shared_project, changes, f"views-{precision}")
    prepared, split, teacher = (
        _input(shared_project, planned, cache, name) for name in ("prepared", "split", "teacher")
    )
    info, augmentation = DataSetInfo.load(prepared), Augmentation(pad=4, flip=True)
    network, images = load_network(teacher, info), load_training(prepared, split)
    reader = EmbeddingCache(cache, images.index.numpy())
    met: list[set[int]] = [set() for _ in images.labels]
    for number in range(162):
        slot = reader.slot(number, CPU)
        crop = decode(slot.views, augmentation)
        pixels = augment(images.images, crop, augmentation.pad)
        with torch.inference_mode():
            live = network(normalise(pixels, info.mean, info.std))
        cached = slot.rows(torch.arange(len(images.labels)))
        for found, expected in ((cached.logits, live.logits), (cached.embedding, live.embedding)):
            tolerance = 1e-5 if precision == "single" else 2**-10
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
        for row, view in enumerate(slot.views.tolist()):
            met[row].add(view)
    assert all(views == set(range(162)) for views in met)


def test_a_slot_holds_what_the_documentation_says(shared_project: Project) -> None:
    _, cache = made(shared_project, ALL_VIEWS, "views-half")
    table = pq.read_table(cache.file(slot_name(0)))
    columns = {field.name: str(field.type) for field in table.schema}
    assert columns == {
        "index": "int32",
        "crop_top": "int16",
        "crop_left": "int16",
        "flip": "bool",
        "logits": "fixed_size_list<element: halffloat>[10]",
        "embedding": "fixed_size_list<element: halffloat>[64]",
    }
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata == {
        name: cache.manifest["inputs"][name][-16:] for name in ("teacher", "prepared", "split")
    }
    assert pq.ParquetFile(cache.file(slot_name(0))).num_row_groups == 1
    assert len([name for name in cache.files if name.startswith("slot-")]) == 162


def test_another_order_of_images_is_noticed(shared_project: Project) -> None:
    planned, cache = made(shared_project, ALL_VIEWS, "views-half")
    prepared, split = (_input(shared_project, planned, cache, n) for n in ("prepared", "split"))
    index = load_training(prepared, split).index.numpy()
    with pytest.raises(DamagedArtifact, match="other images than the training set, or in another"):
        EmbeddingCache(cache, index[::-1]).slot(0, CPU)


def test_a_flipped_bit_is_noticed(project: Project) -> None:
    planned, cache = made(project, {"!methods": {"kd": {}}}, "tiny")
    path = cache.path / slot_name(1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    reader = opened(project, planned, Artifact(cache.path))
    # Slot 1 is fetched while slot 0 is in use.
    reader.slot(0, CPU)
    with pytest.raises(DamagedArtifact, match=r"slot-0001\.parquet: content differs"):
        reader.slot(1, CPU)


def test_an_interrupted_cache_goes_on_with_the_next_slot(
    project: Project, shared_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distillery.embeddings import embed

    changes = {"!methods": {"kd": {}}}
    planned, straight = made(shared_project, changes, "tiny")
    run = planned.stage("embed")[0]
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    calls: list[int] = []
    original = embed.outputs

    def stop_at_second(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(embed, "outputs", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        stages.execute(project.data, run)
    resumed = Artifact(stages.execute(project.data, run))
    assert len(calls) == 4
    assert resumed.manifest["files"] == straight.manifest["files"]


def test_memory_is_bounded_by_a_slot_and_not_by_their_number(
    shared_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, cache = made(shared_project, ALL_VIEWS, "views-half")
    reader = opened(shared_project, planned, cache)
    peaks = []
    for count in (4, 160):
        tracemalloc.start()
        for number in range(count):
            reader.slot(number, CPU)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 100_000


def test_the_identity_view_is_one_of_them() -> None:
    augmentation = Augmentation(pad=4, flip=True)
    images = torch.from_numpy(np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1))
    view = torch.full((2,), identity_view(augmentation))
    assert torch.equal(augment(images, decode(view, augmentation), 4), images)
