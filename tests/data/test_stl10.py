from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from data_samples import pixels, write_files, write_tar
from raw_samples.stl10 import files

from distillery.core.errors import UserError
from distillery.data.prepared import DataSetInfo, load
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]


@pytest.mark.parametrize("packed", [True, False])
def test_official_files(prepared: Make, data_root: Path, packed: bool) -> None:
    raw = data_root / "raw"
    write_tar(raw / "stl10_binary.tar.gz", files()) if packed else write_files(raw, files())
    artifact = prepared(source="stl10")
    info, train = DataSetInfo.load(artifact), load(artifact, "train")
    assert (info.classes, info.shape) == (("airplane", "bird", "car"), (96, 96, 3))
    assert train.labels.tolist() == [0, 2, 1]
    assert load(artifact, "test").labels.tolist() == [1, 1]
    columns = pixels(0, 3, 3, 96, 96)
    assert (train.images[1, 5, 90] == columns.transpose(0, 1, 3, 2)[1, :, 5, 90]).all()


def test_images_and_labels_are_those_of_torchvision(
    prepared: Make, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(data_root / "raw", files())
    # Its checksums are those of the full set.
    monkeypatch.setattr(torchvision.datasets.STL10, "_check_integrity", lambda self: True)
    expected = torchvision.datasets.STL10(str(data_root / "raw"), split="train")
    found = load(prepared(source="stl10"), "train")
    assert np.array_equal(found.images.numpy(), expected.data.transpose(0, 2, 3, 1))
    assert found.labels.tolist() == expected.labels.tolist()


def test_unlabelled_images_are_neither_unpacked_nor_hashed(prepared: Make, data_root: Path) -> None:
    write_files(data_root / "raw", files())
    origin = DataSetInfo.load(prepared(source="stl10")).origin
    (data_root / "raw" / "stl10_binary" / "unlabeled_X.bin").write_bytes(b"others")
    assert DataSetInfo.load(prepared(source="stl10", channels=3)).origin == origin


def test_resized(prepared: Make, data_root: Path) -> None:
    write_files(data_root / "raw", files())
    assert DataSetInfo.load(prepared(source="stl10", image_size=32)).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train_X.bin", b"short", "train_X.bin: 5 bytes, which are not the 3 images of train_y"),
        ("test_y.bin", bytes([1, 4]), "test_y.bin: labels leave the range from 1 to 3"),
        ("test_y.bin", bytes([0, 1]), "test_y.bin: labels leave the range from 1 to 3"),
        ("train_y.bin", None, "train_y.bin: no such file"),
        ("class_names.txt", None, "class_names.txt: no such file or folder, nor one level down"),
    ],
)
def test_wrong_files(
    prepared: Make, data_root: Path, file: str, content: bytes | None, message: str
) -> None:
    path = write_files(data_root / "raw", files()) / "stl10_binary" / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        prepared(source="stl10")


def test_what_to_do_without_a_network(
    prepared: Make, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", unreachable)
    with pytest.raises(UserError) as caught:
        prepared(source="stl10")
    assert str(caught.value) == (
        "stl10_binary.tar.gz cannot be downloaded (no route to host); put the file, or the folder "
        f"stl10_binary that it unpacks to, into {data_root}/raw"
    )
