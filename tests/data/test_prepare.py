import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_samples import image_folder, pack, save_image

from distillery.core.errors import DamagedArtifact, DistilleryError, UserError
from distillery.data import prepare
from distillery.data.colour import stored_lab
from distillery.data.prepared import DataSetInfo, load
from distillery.data.raw import RawPart
from distillery.data.settings import Source
from distillery.runs.artifact import Artifact
from distillery.runs.run import Run, run_key

Prepare = Callable[..., Artifact]


@pytest.fixture
def pets(data_root: Path) -> Path:
    return image_folder(data_root / "raw" / "pets", train=7, test=3)


def test_the_file_is_what_the_documentation_says(prepared: Prepare, pets: Path) -> None:
    artifact = prepared(source="image-folder", path="pets")
    assert artifact.files == ["info.json", "test.parquet", "train.parquet"]
    with pq.ParquetFile(artifact.file("train.parquet")) as file:
        schema = file.schema_arrow
        assert schema.names == ["index", "label", "image"]
        assert schema.types == [pa.int32(), pa.int32(), pa.binary(6 * 6 * 3)]
        assert schema.metadata[b"shape"] == b"6 6 3"
        assert file.metadata.row_group(0).column(2).compression == "ZSTD"
        table = file.read()
    assert table["index"].to_pylist() == list(range(14))
    images = load(artifact, "train").images
    assert table["image"].to_pylist() == [image.numpy().tobytes() for image in images]


def test_preparing_twice_gives_the_same_bytes(
    prepared: Prepare, pets: Path, tmp_path: Path
) -> None:
    pack(pets, tmp_path / "pets.tar.gz")
    settings = {"source": "image-folder", "path": str(tmp_path / "pets.tar.gz")}
    one, other = (prepared(root=tmp_path / name, **settings) for name in ("one", "other"))
    assert one.path != other.path
    for name in one.files:
        assert one.file(name).read_bytes() == other.file(name).read_bytes()


def test_mean_and_deviation_are_those_of_the_training_part(prepared: Prepare, pets: Path) -> None:
    artifact = prepared(source="image-folder", path="pets")
    info = DataSetInfo.load(artifact)
    values = load(artifact, "train").images.double() / 255
    std, mean = torch.std_mean(values, dim=(0, 1, 2), correction=0)
    np.testing.assert_allclose(info.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(info.std, std, rtol=1e-12)


def test_sums_of_large_sets_stay_exact() -> None:
    summary, white = prepare._Summary(), np.full((4, 64, 64, 1), 255, dtype=np.uint8)
    for _ in range(50):
        summary.add(prepare._Summary.of(white))
    summary.add(prepare._Summary.of(np.full((1, 1, 1, 1), 254, dtype=np.uint8)))
    count = 50 * 4 * 64 * 64 + 1
    assert summary.sums == [255 * count - 1]
    (mean,), (std,) = summary.mean_and_std()
    assert mean == pytest.approx(1 - 1 / (255 * count), abs=1e-15)
    assert std == pytest.approx(np.sqrt(count - 1) / count / 255, rel=1e-12)


def test_a_constant_channel_cannot_be_normalised(prepared: Prepare, data_root: Path) -> None:
    for part in ("train", "test"):
        black = np.zeros((4, 4, 3), dtype=np.uint8)
        black[0, 0, :2] = 9
        save_image(data_root / "raw" / "x" / part / "a" / "0.png", black)
    with pytest.raises(UserError, match="channel 2 is the same in all pixels of the training set"):
        prepared(source="image-folder", path="x")


def test_test_images_that_are_training_images_are_counted(prepared: Prepare, pets: Path) -> None:
    assert DataSetInfo.load(prepared(source="image-folder", path="pets")).shared == 0
    copied = (pets / "train" / "cat" / "0002.png").read_bytes()
    for name in ("0000.png", "0001.png"):
        (pets / "test" / "bird" / name).write_bytes(copied)
    again = prepared(source="image-folder", path="pets", image_size=6)
    assert DataSetInfo.load(again).shared == 2


def test_the_card_names_the_origin(prepared: Prepare, data_root: Path, pets: Path) -> None:
    folder = DataSetInfo.load(prepared(source="image-folder", path="pets")).origin
    assert list(folder) == ["pets"]
    archive = pack(pets, data_root / "raw" / "pets.tar.xz")
    packed = DataSetInfo.load(prepared(source="image-folder", path="pets.tar.xz")).origin
    assert packed == {"pets.tar.xz": hashlib.sha256(archive.read_bytes()).hexdigest()}


@pytest.mark.parametrize(("rows", "size", "groups"), [(4, 2**26, [4, 4, 4, 2]), (99, 330, [3] * 4)])
def test_images_stream_in_groups_of_bounded_size(
    prepared: Prepare,
    pets: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    size: int,
    groups: list[int],
) -> None:
    whole = load(prepared(source="image-folder", path="pets"), "train")
    monkeypatch.setattr(prepare, "_GROUP_ROWS", rows)
    monkeypatch.setattr(prepare, "_GROUP_BYTES", size)
    artifact = prepared(source="image-folder", path="pets", channels=3)
    with pq.ParquetFile(artifact.file("train.parquet")) as file:
        found = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert found[: len(groups)] == groups
    assert sum(found) == 14
    again = load(artifact, "train")
    assert torch.equal(again.images, whole.images)
    assert torch.equal(again.labels, whole.labels)


def test_images_are_asked_for_one_by_one_and_in_order(tmp_path: Path) -> None:
    asked = []

    class Lazy:
        def __getitem__(self, number: int, /) -> np.ndarray:
            asked.append(number)
            return np.full((2, 2, 1), number % 256, dtype=np.uint8)

    form = prepare._Form((2, 2, 1), resizing=None, may_lose_colour=False)
    part = RawPart(np.zeros(5000, dtype=np.int64), Lazy())
    groups = prepare._groups(part, form, processes=1)
    next(groups)
    assert asked == list(range(4096))
    next(groups)
    assert asked == list(range(5000))


def test_a_run_that_broke_off_starts_over(
    prepared: Prepare, pets: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = DataSetInfo.model_validate
    with monkeypatch.context() as context:
        context.setattr(prepare, "DataSetInfo", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepared(source="image-folder", path="pets")
    (rest,) = (data_root / ".scratch").iterdir()
    assert (rest / "out" / "train.parquet").exists()
    artifact = prepared(source="image-folder", path="pets")
    assert info(artifact.json("info.json")).counts["train"] == 14
    assert list((data_root / ".scratch").iterdir()) == []


def test_damage_is_found_when_read(prepared: Prepare, pets: Path) -> None:
    artifact = prepared(source="image-folder", path="pets")
    path = artifact.path / "train.parquet"
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedArtifact, match=r"train.parquet: content differs"):
        load(Artifact(artifact.path), "train")


def test_a_set_that_will_not_fit_on_the_disk_is_refused(
    prepared: Prepare, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = (14 + 6) * 6 * 6 * 3
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    with pytest.raises(DistilleryError, match="MiB are to be written, but 0 MiB are free: make"):
        prepared(source="image-folder", path="pets")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed))
    assert prepared(source="image-folder", path="pets")


def test_a_run_is_told_from_its_manifest(prepared: Prepare) -> None:
    manifest = prepared(source="digits").manifest
    names = Run.__dataclass_fields__.keys() & manifest.keys()
    run = Run(**{name: manifest[name] for name in names})
    assert run_key(run.identity) == manifest["key"]


def test_colours_can_be_stored_as_luminance_and_chrominance(prepared: Prepare, pets: Path) -> None:
    artifact = prepared(source="image-folder", path="pets", colour="lab")
    plain = prepared(source="image-folder", path="pets")
    for part in ("train", "test"):
        pixels = load(plain, part).images.numpy()
        assert np.array_equal(load(artifact, part).images.numpy(), stored_lab(pixels))
    assert DataSetInfo.load(artifact).mean != DataSetInfo.load(plain).mean
    with pytest.raises(ValueError, match="colour 'lab' needs 3 channels"):
        Source(source="digits", colour="lab", channels=1)
