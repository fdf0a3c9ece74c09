"""The cache equals the live teacher on the same augmented pixels, for every view."""

from __future__ import annotations

import errno
import shutil
import time
import tracemalloc
import weakref
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from project import Project

from distillery.core.errors import DamagedArtifact, DistilleryError
from distillery.data.augmentation import augment, decode, identity_view, normalise
from distillery.data.prepared import DataSetInfo, load_training
from distillery.data.settings import Augmentation
from distillery.embeddings.reader import EmbeddingCache, Slot
from distillery.embeddings.slots import slot_name
from distillery.models.weights import load_network
from distillery.planning.plan import Plan
from distillery.runs import stages
from distillery.runs.artifact import Artifact
from distillery.runs.produce import scratch_of

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
    reader.slot(0, CPU, following=1)
    with pytest.raises(DamagedArtifact, match=r"slot-0001\.parquet: content differs"):
        reader.slot(1, CPU)


@pytest.mark.parametrize(("damaged", "computed"), [(False, 4), (True, 5)])
def test_an_interrupted_cache_goes_on_with_the_next_slot(
    project: Project,
    shared_project: Project,
    monkeypatch: pytest.MonkeyPatch,
    damaged: bool,
    computed: int,
) -> None:
    """A slot that is damaged meanwhile is not published as if it were whole."""
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
    if damaged:
        path = scratch_of(project.data, run) / "out" / slot_name(0)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    resumed = Artifact(stages.execute(project.data, run))
    assert len(calls) == computed
    assert resumed.manifest["files"] == straight.manifest["files"]


def test_no_more_than_two_slots_are_in_memory(
    shared_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one in use, and the one that is being read or has been."""
    planned, cache = made(shared_project, ALL_VIEWS, "views-half")
    reader = opened(shared_project, planned, cache)
    alive: weakref.WeakSet[Slot] = weakref.WeakSet()
    most, read, peaks = [], EmbeddingCache._read, []

    def counted(self: EmbeddingCache, number: int) -> Slot:
        most.append(len(alive) + 1)
        slot = read(self, number)
        alive.add(slot)
        return slot

    monkeypatch.setattr(EmbeddingCache, "_read", counted)
    for count in (4, 162):
        tracemalloc.start()
        for number in range(count):
            slot = reader.slot(number, CPU, number + 1 if number + 1 < count else None)
            assert len(slot.logits) == len(slot.embedding)
            del slot
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(most) == 166
    assert max(most) <= 2
    assert peaks[1] < 1.5 * peaks[0]


def test_only_slots_that_will_be_used_are_read(
    shared_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, cache = made(shared_project, ALL_VIEWS, "views-half")
    reader, asked, read = opened(shared_project, planned, cache), [], EmbeddingCache._read

    def noted(self: EmbeddingCache, number: int) -> Slot:
        asked.append(number)
        return read(self, number)

    monkeypatch.setattr(EmbeddingCache, "_read", noted)
    for number, following in ((3, 3), (3, 4), (4, 0), (7, None)):
        reader.slot(number, CPU, following)
    reader._pool.shutdown()
    # A repeated slot is kept; where the run went elsewhere than it said, the right one is read.
    assert asked == [3, 4, 0, 7]


def test_waiting_for_a_slot_is_counted(
    shared_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, cache = made(shared_project, ALL_VIEWS, "views-half")
    reader, read = opened(shared_project, planned, cache), EmbeddingCache._read

    def slow(self: EmbeddingCache, number: int) -> Slot:
        time.sleep(0.2)
        return read(self, number)

    monkeypatch.setattr(EmbeddingCache, "_read", slow)
    reader.slot(0, CPU, following=1)
    assert reader.waited >= 0.2
    first, (_, future) = reader.waited, reader._ahead or (0, Future())
    future.result()
    reader.slot(1, CPU)
    assert reader.waited - first < 0.1


def test_a_slot_of_other_views_is_noticed(
    shared_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, cache = made(shared_project, ALL_VIEWS, "views-half")
    reader = opened(shared_project, planned, cache)
    swapped = {slot_name(0): slot_name(1)}
    monkeypatch.setattr(Artifact, "file", lambda self, name: self.path / swapped.get(name, name))
    with pytest.raises(DamagedArtifact, match=r"0001\.parquet: holds other views than .* slot 0$"):
        reader.slot(0, CPU)


def test_what_cannot_be_written_beside_the_computing_stops_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distillery.embeddings import embed

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(embed, "write_slot", full)
    with pytest.raises(OSError, match="No space left on device"):
        made(project, {"!methods": {"kd": {}}}, "tiny")


def test_a_cache_that_will_not_fit_on_the_disk_is_refused(
    project: Project, shared_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"!methods": {"kd": {}}}
    planned, there = made(shared_project, changes, "tiny")
    run = planned.stage("embed")[0]
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    size = sum(there.manifest["files"][slot_name(slot)]["size"] for slot in range(3))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=size // 2))
    with pytest.raises(DistilleryError, match=r"MiB are to be written, but .* MiB are free: make"):
        stages.execute(project.data, run)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=size))
    stages.execute(project.data, run)


def test_the_identity_view_is_one_of_them() -> None:
    augmentation = Augmentation(pad=4, flip=True)
    images = torch.from_numpy(np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1))
    view = torch.full((2,), identity_view(augmentation))
    assert torch.equal(augment(images, decode(view, augmentation), 4), images)
