from collections.abc import Callable
from pathlib import Path

import pytest
from data_samples import pack, pixels
from raw_samples.cinic10 import CLASSES, cinic10

from distillery.core.errors import UserError
from distillery.data.leakage import leakage_warning
from distillery.data.prepared import DataSetInfo, load
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]


@pytest.fixture
def folder(data_root: Path) -> Path:
    return cinic10(data_root / "raw" / "CINIC-10")


def seeds(artifact: Artifact, part: str) -> list[int]:
    """Return the seeds that the images of a part were drawn from."""
    known = {pixels(seed, 32, 32, 3).tobytes(): seed for seed in range(300)}
    return [known[image.numpy().tobytes()] for image in load(artifact, part).images]


def test_train_alone(prepared: Make, folder: Path) -> None:
    artifact = prepared(source="cinic10")
    info = DataSetInfo.load(artifact)
    assert (info.name, info.classes, info.shape) == ("cinic10", CLASSES, (32, 32, 3))
    assert seeds(artifact, "train") == [0, 1, 10, 11]
    assert load(artifact, "train").labels.tolist() == [0, 0, 1, 1]
    assert seeds(artifact, "test") == [200, 201, 210, 211]


def test_train_and_valid(prepared: Make, folder: Path) -> None:
    artifact = prepared(source="cinic10-train-valid")
    assert DataSetInfo.load(artifact).name == "cinic10-train-valid"
    assert seeds(artifact, "train") == [0, 1, 10, 11, 100, 101, 110, 111]
    assert load(artifact, "train").labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert seeds(artifact, "test") == [200, 201, 210, 211]


def test_the_official_archive_has_no_folder_of_its_own(
    prepared: Make, data_root: Path, tmp_path: Path
) -> None:
    import tarfile

    root = cinic10(tmp_path / "unpacked")
    with tarfile.open(data_root / "raw" / "CINIC-10.tar.gz", "w:gz") as file:
        file.add(root, ".")
    assert seeds(prepared(source="cinic10"), "train") == [0, 1, 10, 11]


def test_an_archive_of_the_folder(prepared: Make, folder: Path, data_root: Path) -> None:
    pack(folder, data_root / "raw" / "mine.zip")
    assert seeds(prepared(source="cinic10", path="mine.zip"), "test") == [200, 201, 210, 211]


def test_normalised_as_the_authors_do(prepared: Make, folder: Path) -> None:
    info = DataSetInfo.load(prepared(source="cinic10"))
    assert info.mean == (0.4789, 0.4723, 0.4305)
    assert info.std == (0.2421, 0.2383, 0.2587)
    grey = DataSetInfo.load(prepared(source="cinic10", channels=1))
    assert len(grey.mean) == len(grey.std) == 1
    assert grey.mean[0] != info.mean[0]


def test_a_missing_class_is_named(prepared: Make, folder: Path) -> None:
    for file in (folder / "valid" / "automobile").iterdir():
        file.unlink()
    assert DataSetInfo.load(prepared(source="cinic10")).counts["train"] == 4
    with pytest.raises(UserError, match="CINIC-10/valid/automobile: no images of this class"):
        prepared(source="cinic10-train-valid")


def test_a_missing_set_names_its_place(prepared: Make) -> None:
    with pytest.raises(UserError, match=r"^CINIC-10 or CINIC-10.tar.gz: not found in "):
        prepared(source="cinic10")


@pytest.mark.parametrize(
    ("source", "origin", "warns"),
    [
        ("cinic10", "cifar10", True),
        ("cinic10-train-valid", "cifar10-jpeg.tar.xz", True),
        ("cinic10", "CIFAR-10_resnet56.pth", True),
        ("cinic10", "cifar100", False),
        ("cinic10", "cifar-100-python", False),
        ("cinic10", "cinic10", False),
        ("cinic10", "tiny-imagenet", False),
        ("cifar10", "cifar10", False),
        ("cifar10", "cinic10", False),
        ("svhn", "cifar10", False),
    ],
)
def test_leakage(source: str, origin: str, warns: bool) -> None:
    message = leakage_warning(source, origin)
    assert (message is not None) is warns
    if message:
        assert message.startswith(f"{origin}: trained on CIFAR-10")
        assert "\n" not in message
