"""Images read from disk equal those in memory, in bounded memory."""

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from data_samples import image_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillery.core.errors import DamagedArtifact
from distillery.data import prepare
from distillery.data.prepared import ImageSet, load, load_training
from distillery.data.stored import StoredImages
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]


@pytest.fixture
def both(
    prepared: Make, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ImageSet, ImageSet]:
    """The same part in memory and on disk, in several row groups."""
    image_folder(data_root / "raw" / "pets", train=9)
    monkeypatch.setattr(prepare, "_GROUP_ROWS", 5)
    settings = {"source": "image-folder", "path": "pets"}
    memory, disk = (load(prepared(**settings, streamed=on), "train") for on in (False, True))
    assert isinstance(memory.images, torch.Tensor)
    assert isinstance(disk.images, StoredImages)
    return memory, disk


def test_labels_index_and_shape(both: tuple[ImageSet, ImageSet]) -> None:
    memory, disk = both
    assert torch.equal(disk.labels, memory.labels)
    assert torch.equal(disk.index, memory.index)
    assert tuple(disk.images.shape) == tuple(memory.images.shape)
    assert len(disk) == len(disk.images) == 18


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(rows=st.lists(st.integers(0, 17), max_size=30))
def test_any_rows_bit_for_bit(both: tuple[ImageSet, ImageSet], rows: list[int]) -> None:
    memory, disk = both
    chosen = torch.tensor(rows, dtype=torch.int64)
    assert torch.equal(disk.images[chosen], memory.images[chosen])
    part = slice(min(rows, default=0), max(rows, default=0))
    assert torch.equal(disk.images[part], memory.images[part])


def test_batches_bit_for_bit_and_in_order(both: tuple[ImageSet, ImageSet]) -> None:
    memory, disk = both
    rows = torch.randperm(18, generator=torch.Generator().manual_seed(0)).split(4)
    found, expected = list(disk.batches(rows)), list(memory.batches(rows))
    assert len(found) == len(expected) == 5
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert list(disk.batches([])) == []


def test_chosen_channels(both: tuple[ImageSet, ImageSet]) -> None:
    memory, disk = (images.of_channels([2, 0]) for images in both)
    rows = torch.tensor([3, 17, 3])
    assert disk.images.shape == (18, 6, 6, 2)
    assert torch.equal(disk.images[rows], memory.images[rows])
    again, expected = disk.of_channels([1]), memory.of_channels([1])
    assert torch.equal(again.images[rows], expected.images[rows])


def test_a_device_is_where_images_come_out(both: tuple[ImageSet, ImageSet]) -> None:
    there = both[1].to("meta")
    assert there.images.device.type == there.labels.device.type == "meta"
    assert there.images[torch.tensor([1])].device.type == "meta"
    assert both[1].images[torch.tensor([1])].device.type == "cpu"


def test_some_images_of_a_split(prepared: Make, divided: Make) -> None:
    memory, disk = (prepared(source="digits", streamed=on) for on in (False, True))
    split = divided(memory, per_class=7, validation_fraction=0.1)
    for part in ("train", "validation"):
        expected, found = load_training(memory, split, part), load_training(disk, split, part)
        assert isinstance(found.images, StoredImages)
        assert torch.equal(found.images[0 : len(found)], expected.images)
        assert torch.equal(found.labels, expected.labels)


def test_the_files_are_ordinary_ones(prepared: Make) -> None:
    packed, streamed = (prepared(source="digits", streamed=on) for on in (False, True))
    whole = pq.read_table(packed.file("train.parquet"))
    pixels = np.load(streamed.file("train.npy"))
    assert pixels.shape == (1197, 8, 8, 1)
    assert [image.tobytes() for image in pixels] == whole["image"].to_pylist()
    assert pq.read_table(streamed.file("train.parquet")).equals(whole.drop_columns("image"))


def test_large_parts_are_streamed_by_themselves(
    prepared: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "LARGEST_IN_MEMORY", 700 * 64)
    artifact = prepared(source="digits")
    assert isinstance(load(artifact, "train").images, StoredImages)
    assert isinstance(load(artifact, "test").images, torch.Tensor)


def test_memory_is_that_of_two_batches(prepared: Make, data_root: Path) -> None:
    image_folder(data_root / "raw" / "large", train=30, test=1, side=200, suffix=".ppm")
    artifact = prepared(source="image-folder", path="large", streamed=True)
    batch_bytes = 4 * 200 * 200 * 3
    tracemalloc.start()
    images = load(artifact, "train")
    for pixels in images.batches(torch.arange(60).split(4)):
        assert pixels.shape == (4, 200, 200, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One is in use, one is waiting, and the next is being read.
    assert peak < 4 * batch_bytes
    assert peak > batch_bytes


def test_the_next_batch_is_read_while_one_is_used(
    both: tuple[ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = both[1].images
    assert isinstance(disk, StoredImages)
    begun: list[int] = []
    read = StoredImages._read

    def noted(self: StoredImages, rows: torch.Tensor) -> torch.Tensor:
        begun.append(int(rows[0]))
        return read(self, rows)

    monkeypatch.setattr(StoredImages, "_read", noted)
    supply = disk.batches(torch.arange(18).split(6))
    next(supply)
    for _ in range(500):
        if len(begun) == 2:
            break
        time.sleep(0.01)
    assert begun == [0, 6]
    supply.close()


def test_a_file_that_gets_shorter_while_it_is_read(tmp_path: Path) -> None:
    short = tmp_path / "short.npy"
    np.save(short, np.zeros((2, 6, 6, 3), dtype=np.uint8))
    images = StoredImages(short, np.arange(2))
    os.truncate(short, short.stat().st_size - 1)
    assert images[0:1].shape == (1, 6, 6, 3)
    with pytest.raises(OSError, match=r"short\.npy: ends before its images do"):
        images[0:2]


@pytest.mark.parametrize(
    "content", [np.zeros(3, dtype=np.uint8), np.zeros((1, 2, 2, 1)), b"rubbish", b""]
)
def test_a_file_without_images(tmp_path: Path, content: np.ndarray | bytes) -> None:
    path = tmp_path / "images.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(DamagedArtifact, match=r"images\.npy: ") as caught:
        StoredImages(path, np.arange(0))
    assert "\n" not in str(caught.value)


def test_a_file_of_other_images(prepared: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = prepared(source="digits", streamed=True)
    np.save(artifact.path / "train.npy", np.zeros((1197, 8, 8, 3), dtype=np.uint8))
    monkeypatch.setattr(Artifact, "file", lambda self, name: self.path / name)
    with pytest.raises(DamagedArtifact, match=r"train.npy: holds images \(1197, 8, 8, 3\), not"):
        load(artifact, "train")
