from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_samples import image_folder

from distillery.core.errors import DamagedArtifact, UserError
from distillery.data.prepared import load, load_training
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]


@pytest.fixture
def digits(prepared: Make) -> Artifact:
    return prepared(source="digits")


class Forged(Artifact):
    """An artifact whose files are what a test makes of them, with no manifest to betray it."""

    def __init__(self, path: Path, files: dict[str, Path], info: dict) -> None:
        self.path, self._paths, self._info = path, files, info

    def file(self, name: str) -> Path:
        return self._paths[name]

    def json(self, name: str) -> dict:
        return self._info


def forged(artifact: Artifact, tmp_path: Path, table: pa.Table) -> Artifact:
    path = tmp_path / "forged.parquet"
    pq.write_table(table, path)
    return Forged(artifact.path, {"train.parquet": path}, artifact.json("info.json"))


def test_whole_parts(digits: Artifact) -> None:
    train = load(digits, "train")
    assert (train.images.dtype, train.images.shape) == (torch.uint8, (1197, 8, 8, 1))
    assert (train.labels.dtype, train.index.dtype) == (torch.int64, torch.int64)
    assert torch.equal(train.index, torch.arange(1197))
    assert len(train) == 1197
    assert len(load(digits, "test")) == 600


def test_some_images_from_several_row_groups(
    prepared: Make, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_folder(data_root / "raw" / "pets", train=9)
    monkeypatch.setattr("distillery.data.prepare._GROUP_ROWS", 5)
    artifact = prepared(source="image-folder", path="pets")
    whole = load(artifact, "train")
    for index in ([0, 4, 5, 16, 17], [7], [], list(range(18)), [5, 6, 7, 8, 9]):
        some = load(artifact, "train", np.array(index, dtype=np.int64))
        assert torch.equal(some.images, whole.images[index])
        assert torch.equal(some.labels, whole.labels[index])
        assert some.index.tolist() == index


@pytest.mark.parametrize("index", [[-1, 0], [0, 1197], [3, 2], [4, 4]])
def test_an_index_must_increase_within_the_part(digits: Artifact, index: list[int]) -> None:
    with pytest.raises(ValueError, match="must increase from 0 to 1196"):
        load(digits, "train", np.array(index))


def test_images_can_be_changed_without_a_warning(digits: Artifact, divided: Make) -> None:
    for found in (load(digits, "train"), load_training(digits, divided(digits, fraction=0.5))):
        found.images[0] = 7
        assert found.images.numpy().flags.writeable
        assert found.index.numpy().flags.writeable


def test_move_to_a_device(digits: Artifact) -> None:
    there = load(digits, "test").to("meta")
    devices = {tensor.device.type for tensor in (there.images, there.labels, there.index)}
    assert devices == {"meta"}


def test_training_and_validation_sets(digits: Artifact, divided: Make) -> None:
    split, whole = divided(digits, validation_fraction=0.25), load(digits, "train")
    train, validation = (load_training(digits, split, part) for part in ("train", "validation"))
    assert len(train) + len(validation) == 1197
    assert not set(train.index.tolist()) & set(validation.index.tolist())
    for part in (train, validation):
        assert torch.equal(part.images, whole.images[part.index])
        assert torch.equal(part.labels, whole.labels[part.index])


def test_no_validation_set(digits: Artifact, divided: Make) -> None:
    with pytest.raises(UserError, match=r"validation.csv: no images; set data.split.validation_fr"):
        load_training(digits, divided(digits), "validation")


def test_a_split_of_another_set(digits: Artifact, divided: Make, prepared: Make) -> None:
    other = prepared(source="digits", image_size=4)
    split = divided(digits, per_class=3)
    assert len(load_training(other, split)) == 30  # the same labels
    path = split.path / "train.csv"
    lines = path.read_text().splitlines()
    lines[1] = f"{lines[1].split(',')[0]},9"
    path.write_text("\n".join(lines))
    without_manifest = Forged(split.path, {"train.csv": path}, {})
    with pytest.raises(DamagedArtifact, match=r"train.csv: its labels are not those of"):
        load_training(digits, without_manifest)


def test_labels_out_of_range(digits: Artifact, tmp_path: Path) -> None:
    table = pq.read_table(digits.file("train.parquet"))
    labels = table["label"].to_numpy().copy()
    for wrong in (10, -1):
        labels[5] = wrong
        changed = table.set_column(1, "label", pa.array(labels))
        with pytest.raises(DamagedArtifact, match="labels leave the range of the 10 classes"):
            load(forged(digits, tmp_path, changed), "train")


def test_images_of_another_length(digits: Artifact, tmp_path: Path) -> None:
    table = pq.read_table(digits.file("train.parquet"))
    short = pa.array([image[:-1] for image in table["image"].to_pylist()], pa.binary(63))
    with pytest.raises(DamagedArtifact, match=r"images are not of the shape \(8, 8, 1\)"):
        load(forged(digits, tmp_path, table.set_column(2, "image", short)), "train")


def test_missing_rows(digits: Artifact, tmp_path: Path) -> None:
    table = pq.read_table(digits.file("train.parquet")).slice(0, 1000)
    with pytest.raises(DamagedArtifact, match="1000 images instead of 1197"):
        load(forged(digits, tmp_path, table), "train")
