from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from data_samples import pack, pixels
from raw_samples.svhn import LABELS, write_part
from scipy.io import savemat

from distillery.core.errors import UserError
from distillery.data.prepared import DataSetInfo, load
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]


@pytest.fixture
def folder(data_root: Path) -> Path:
    folder = data_root / "raw" / "svhn"
    write_part(folder / "train_32x32.mat", 1)
    write_part(folder / "test_32x32.mat", 2, LABELS[:2])
    return folder


def test_official_files(prepared: Make, folder: Path) -> None:
    (folder / "extra_32x32.mat").write_bytes(b"not read")
    artifact = prepared(source="svhn")
    info, train = DataSetInfo.load(artifact), load(artifact, "train")
    assert (info.classes, info.shape) == (tuple("0123456789"), (32, 32, 3))
    assert info.counts == {"train": 5, "test": 2}
    assert train.labels.tolist() == [0, 1, 9, 0, 3]
    assert np.array_equal(train.images.numpy(), np.moveaxis(pixels(1, 32, 32, 3, 5), 3, 0))


def test_images_and_labels_are_those_of_torchvision(
    prepared: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its checksums are those of the full set.
    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)
    expected = torchvision.datasets.SVHN(str(folder), split="train")
    found = load(prepared(source="svhn"), "train")
    assert found.labels.tolist() == expected.labels.tolist()
    for number in range(len(expected)):
        assert np.array_equal(found.images[number].numpy(), np.array(expected[number][0]))


def test_an_archive_of_the_folder(prepared: Make, folder: Path, data_root: Path) -> None:
    pack(folder, data_root / "raw" / "digits.tar")
    found = prepared(source="svhn", path="digits.tar").file("train.parquet").read_bytes()
    assert found == prepared(source="svhn").file("train.parquet").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"X": pixels(1, 32, 32, 3, 4), "y": LABELS[:, None]}, "its X and y do not fit"),
        ({"X": pixels(1, 32, 32, 3, 5), "y": LABELS[:, None] + 1}, "its X and y do not fit"),
        ({"X": pixels(1, 32, 32, 3, 5).astype(float), "y": LABELS}, "its X and y do not fit"),
        ({"X": pixels(1, 32, 32, 3, 5)}, "'y'"),
    ],
)
def test_wrong_contents(prepared: Make, folder: Path, content: dict, message: str) -> None:
    savemat(folder / "test_32x32.mat", content)
    with pytest.raises(UserError, match=r"svhn/test_32x32.mat: not an SVHN file") as caught:
        prepared(source="svhn")
    assert message in str(caught.value)


def test_a_file_that_is_none_of_matlabs(prepared: Make, folder: Path) -> None:
    (folder / "train_32x32.mat").write_bytes(b"x" * 200)
    with pytest.raises(UserError, match=r"svhn/train_32x32.mat: not an SVHN file \("):
        prepared(source="svhn")


def test_what_to_do_without_a_network(
    prepared: Make, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", unreachable)
    with pytest.raises(UserError) as caught:
        prepared(source="svhn")
    assert str(caught.value) == (
        "train_32x32.mat cannot be downloaded (no route to host); put train_32x32.mat and "
        f"test_32x32.mat into {data_root}/raw/svhn"
    )


def test_a_download_goes_on_where_it_broke_off(
    prepared: Make, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def download(url: str, folder: str, name: str, md5: str) -> None:
        asked.append(name)
        if len(asked) == 2:
            raise OSError("connection lost")
        write_part(Path(folder) / name, 7)

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    with pytest.raises(UserError, match="connection lost"):
        prepared(source="svhn")
    assert not (data_root / "raw" / "svhn").exists()
    monkeypatch.setattr("distillery.data.prepare.agrees_with_published", lambda *_: True)
    assert DataSetInfo.load(prepared(source="svhn")).counts == {"train": 5, "test": 5}
    assert asked == ["train_32x32.mat", "test_32x32.mat", "test_32x32.mat"]
