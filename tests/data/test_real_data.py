"""The real sets, when DISTILLERY_DATA names a folder that holds them."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from distillery.data.prepared import DataSetInfo, load
from distillery.data.settings import Source
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]
CIFAR10 = "cifar10-jpeg.tar.xz"
TINY_IMAGENET = "tiny-imagenet-100c-32px.tar.xz"
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


@pytest.fixture
def excerpt(outside: Callable[[str], Path], data_root: Path) -> Path:
    """Every 250th image of each part and class of the CIFAR-10 archive, as an archive."""
    target = data_root / "raw" / "excerpt.tar"
    with tarfile.open(outside(CIFAR10)) as archive, tarfile.open(target, "w") as excerpt:
        for member in archive:
            if member.isfile() and int(Path(member.name).stem) % 250 == 0:
                excerpt.addfile(member, archive.extractfile(member))
    return target


def test_an_excerpt_of_cifar10(excerpt: Path, prepared: Make, divided: Make) -> None:
    artifact = prepared(source="image-folder", path=excerpt.name)
    info = DataSetInfo.load(artifact)
    assert info.classes == CIFAR10_CLASSES
    assert info.shape == (32, 32, 3)
    assert info.counts == {"train": 200, "test": 40}
    np.testing.assert_allclose(info.mean, (0.4914, 0.4822, 0.4465), atol=0.05)
    np.testing.assert_allclose(info.std, (0.2470, 0.2435, 0.2616), atol=0.05)
    split = divided(artifact, per_class=5, validation_fraction=0.2)
    assert split.file("train.csv").read_text().count("\n") == 51


@pytest.mark.slow
def test_all_of_cifar10(outside: Callable[[str], Path], prepared: Make, tmp_path: Path) -> None:
    outside(CIFAR10)
    settings = {"source": "image-folder", "path": CIFAR10}
    artifact = prepared(**settings)
    info = DataSetInfo.load(artifact)
    assert info.classes == CIFAR10_CLASSES
    assert info.counts == {"train": 50000, "test": 10000}
    assert info.per_class == {"train": (5000,) * 10, "test": (1000,) * 10}
    # The published figures are those of the images before they were compressed as JPEG.
    np.testing.assert_allclose(info.mean, (0.4914, 0.4822, 0.4465), atol=0.001)
    np.testing.assert_allclose(info.std, (0.2470, 0.2435, 0.2616), atol=0.002)
    train = load(artifact, "train")
    values = train.images.float() / 255
    torch.testing.assert_close(values.mean((0, 1, 2)), torch.tensor(info.mean), atol=1e-4, rtol=0)
    again = prepared(root=tmp_path / "again", **settings)
    for name in artifact.files:
        assert artifact.file(name).read_bytes() == again.file(name).read_bytes()


@pytest.mark.slow
def test_half_of_tiny_imagenet(outside: Callable[[str], Path], prepared: Make) -> None:
    outside(TINY_IMAGENET)
    info = DataSetInfo.load(prepared(source="tiny-imagenet", path=TINY_IMAGENET))
    assert info.shape == (32, 32, 3)
    assert len(info.classes) == 100
    assert info.classes[0] == "n01443537 goldfish"
    assert info.per_class == {"train": (500,) * 100, "test": (50,) * 100}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "mean", "std"),
    [
        ("cifar10", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ("cifar100", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    ],
)
def test_official_cifar(
    outside: Callable[[str], Path],
    prepared: Make,
    source: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> None:
    outside(source.replace("cifar", "cifar-") + "-python.tar.gz")
    assert Source(source=source).path is None
    info = DataSetInfo.load(prepared(source=source))
    assert info.counts == {"train": 50000, "test": 10000}
    np.testing.assert_allclose(info.mean, mean, atol=1e-4)
    np.testing.assert_allclose(info.std, std, atol=1e-4)
