from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from data_samples import pack, pixels
from project import Project
from raw_samples.nyu_depth import (
    COPIES,
    COUNT,
    LABELLED,
    SCENES,
    TEST,
    TRAIN,
    contents,
    write_both,
    write_labelled,
    write_splits,
)
from scipy.io import savemat

from distillery.core.errors import UserError
from distillery.data.files import RawFiles
from distillery.data.prepared import DataSetInfo, load
from distillery.data.raw import RawData
from distillery.data.settings import Source
from distillery.data.sources import nyu_depth
from distillery.models.weights import load_network
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]


@pytest.fixture
def folder(data_root: Path) -> Path:
    return write_both(data_root / "raw" / "nyu_depth_v2")


@pytest.fixture
def opened(data_root: Path, tmp_path: Path) -> Iterator[Callable[[], RawData]]:
    """Read the source without preparing it."""
    settings = Source(source="nyu-depth", image_size=8)
    with RawFiles.opened(data_root / "raw", tmp_path) as raw:
        yield lambda: nyu_depth.read(settings, raw)


def failure(prepared: Make, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        prepared(source="nyu-depth", image_size=8, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_official_files(prepared: Make, folder: Path) -> None:
    artifact = prepared(source="nyu-depth", image_size=8)
    info, train, test = DataSetInfo.load(artifact), load(artifact, "train"), load(artifact, "test")
    assert (info.name, info.shape) == ("nyu-depth", (8, 8, 4))
    assert info.classes == (
        *("bedroom", "kitchen", "living room", "bathroom", "dining room", "office"),
        *("home office", "classroom", "bookstore", "others"),
    )
    assert info.counts == {"train": COUNT // 2, "test": COUNT // 2}
    assert info.per_class == {"train": (2,) * 9 + (4,), "test": (2,) * 9 + (4,)}
    labels = [*range(10), 9] * COPIES
    assert train.labels.tolist() == labels[0::2]
    assert test.labels.tolist() == labels[1::2]
    content = contents()
    for images, first in ((train.images, 0), (test.images, 1)):
        for position in range(COUNT // 2):
            number = first + 2 * position
            for row in range(8):
                for column in range(8):
                    *colour, depth = images[position, row, column].tolist()
                    assert colour == content["images"][number, :, column, row].tolist()
                    metres = min(float(content["depths"][number, column, row]), 10)
                    assert abs(depth - 25.5 * metres) <= 0.501


@pytest.mark.parametrize(
    ("metres", "byte"), [(0, 0), (0.03, 1), (1, 26), (4, 102), (9.99, 255), (10, 255), (65, 255)]
)
def test_depth_in_steps_of_four_centimetres(
    opened: Callable[[], RawData], folder: Path, metres: float, byte: int
) -> None:
    depths = np.ones((COUNT, 8, 8), dtype=np.float32)
    depths[2, 5, 1] = metres
    write_both(folder, depths=depths)
    image = opened().train.images[1]
    assert image[1, 5, 3] == byte
    assert (np.delete(image[..., 3].ravel(), 8 + 5) == 26).all()


def test_images_are_no_squares_and_are_read_one_by_one(
    opened: Callable[[], RawData], data_root: Path
) -> None:
    content = contents(width=8, height=6)
    write_both(data_root / "raw" / "nyu_depth_v2", **content)
    data = opened()
    image = data.test.images[4]
    assert (image.shape, image.dtype, data.channels) == ((6, 8, 4), np.uint8, 4)
    assert np.array_equal(image[..., :3], content["images"][9].transpose(2, 1, 0))
    assert data.test.name(4).endswith(f"nyu_depth_v2/{LABELLED}: image 10")
    assert isinstance(data.test.images.content.colours, h5py.Dataset)


def test_every_plane_is_resized_by_itself(prepared: Make, folder: Path) -> None:
    depths = np.zeros((COUNT, 8, 8), dtype=np.float32)
    depths[:, :4] = 10
    write_both(folder, depths=depths)
    images = load(prepared(source="nyu-depth", image_size=4), "train").images.numpy()
    assert (images[..., 3] == [255, 255, 0, 0]).all()
    means = contents()["images"][0::2].transpose(0, 3, 2, 1).reshape(-1, 4, 2, 4, 2, 3)
    assert np.abs(images[..., :3] - means.mean(axis=(2, 4))).max() <= 1


def test_the_order_is_that_of_the_split(prepared: Make, folder: Path) -> None:
    before = load(prepared(source="nyu-depth", image_size=8), "train").images
    write_splits(folder / "splits.mat", TRAIN[::-1])
    after = load(prepared(source="nyu-depth", image_size=8, streamed=False), "train").images
    assert torch.equal(after, before.flip(0))


def test_a_folder_around_it_and_a_path(prepared: Make, folder: Path) -> None:
    folder.rename(folder.with_name("inner"))
    folder.mkdir()
    folder.with_name("inner").rename(folder / "inner")
    one = prepared(source="nyu-depth", image_size=8)
    other = prepared(source="nyu-depth", image_size=8, path="nyu_depth_v2/inner")
    for file in ("train.parquet", "test.parquet"):
        assert one.file(file).read_bytes() == other.file(file).read_bytes()
    assert [*DataSetInfo.load(one).origin, *DataSetInfo.load(other).origin] == [
        "nyu_depth_v2",
        "inner",
    ]


def test_places(prepared: Make, folder: Path, data_root: Path) -> None:
    archive = pack(folder, data_root / "raw" / "nyu.tar")
    assert failure(prepared, path="nyu.tar") == (
        f"{archive}: not a folder; put {LABELLED} and splits.mat into one"
    )
    (folder / "splits.mat").unlink()
    assert failure(prepared) == f"{folder}/splits.mat: no such file"
    (folder / LABELLED).unlink()
    assert failure(prepared) == f"{folder}/{LABELLED}: no such file or folder, nor one level down"
    folder.rmdir()
    assert failure(prepared).startswith("nyu_depth_v2: not found in ")


CONTENT = contents()
UNFIT = "its images, depths and sceneTypes do not fit"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": CONTENT["images"].astype(np.uint16)}, UNFIT),
        ({"images": pixels(0, COUNT, 4, 8, 8)}, UNFIT),
        ({"images": pixels(0, COUNT, 3, 64)}, UNFIT),
        ({"images": pixels(0, COUNT, 3)}, UNFIT),
        ({"images": pixels(0, COUNT - 1, 3, 8, 8)}, UNFIT),
        ({"images": SCENES}, UNFIT),
        ({"depths": CONTENT["depths"].astype(np.uint16)}, UNFIT),
        ({"depths": CONTENT["depths"][:, :6]}, UNFIT),
        ({"depths": CONTENT["depths"][1:]}, UNFIT),
        ({"sceneTypes": SCENES}, UNFIT),
        ({"sceneTypes": np.zeros((1, COUNT))}, ""),
    ],
)
def test_wrong_contents(
    prepared: Make, folder: Path, changes: dict[str, Any], message: str
) -> None:
    write_labelled(folder / LABELLED, CONTENT | changes)
    found = failure(prepared)
    assert found.startswith(f"{folder}/{LABELLED}: not the labelled part of NYU-Depth V2 (")
    assert message in found


@pytest.mark.parametrize("key", ["images", "depths", "sceneTypes"])
def test_missing_contents(prepared: Make, folder: Path, key: str) -> None:
    write_labelled(folder / LABELLED, {name: each for name, each in CONTENT.items() if name != key})
    found = failure(prepared)
    assert found.startswith(f"{folder}/{LABELLED}: not the labelled part of NYU-Depth V2 (")
    assert key in found


def test_files_of_another_kind_and_cut_off_ones(prepared: Make, folder: Path) -> None:
    labelled, splits = folder / LABELLED, folder / "splits.mat"
    content = labelled.read_bytes()
    for damaged in (b"x" * 2000, content[: len(content) // 2]):
        labelled.write_bytes(damaged)
        start = f"{labelled}: not the labelled part of NYU-Depth V2 ("
        assert failure(prepared).startswith(start)
    labelled.write_bytes(content)
    whole = splits.read_bytes()
    for damaged in (b"x" * 200, whole[:200], content):
        splits.write_bytes(damaged)
        assert failure(prepared).startswith(f"{splits}: not a split of NYU-Depth V2 (")
    savemat(splits, {"trainNdxs": TRAIN})
    assert failure(prepared) == f"{splits}: not a split of NYU-Depth V2 ('testNdxs')"


@pytest.mark.parametrize("key", ["images", "depths"])
def test_a_damaged_image_is_named(prepared: Make, folder: Path, key: str) -> None:
    path = folder / LABELLED
    with h5py.File(path) as file:
        chunk = file[key].id.get_chunk_info(5)
    # Places in the file are counted behind MATLAB's header or with it.
    start = chunk.byte_offset
    content = path.read_bytes()
    if content[start : start + 1] != b"\x78":
        start += 512
    assert content[start : start + 1] == b"\x78"
    path.write_bytes(content[:start] + bytes(chunk.size) + content[start + chunk.size :])
    assert failure(prepared).startswith(f"{path}: image 6 cannot be read (")


@pytest.mark.parametrize("metres", [-0.5, np.nan])
def test_a_depth_that_is_none(prepared: Make, folder: Path, metres: float) -> None:
    depths = CONTENT["depths"].copy()
    depths[6, 2, 3] = metres
    write_both(folder, depths=depths)
    assert failure(prepared) == f"{folder}/{LABELLED}: image 7 has a depth that is no distance"


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (TRAIN - 1, TEST - 1),
        (TRAIN, TEST + 2),
        (TRAIN, [*TEST, 1]),
        (TRAIN, TEST[1:]),
        (TRAIN, [*TEST[1:], 1]),
        (TRAIN, [*TEST, COUNT + 1]),
        (TRAIN + 0.5, TEST),
        (TRAIN * np.nan, TEST),
    ],
)
def test_a_split_of_other_images(prepared: Make, folder: Path, train: Any, test: Any) -> None:
    write_splits(folder / "splits.mat", train, test)
    assert failure(prepared) == (
        f"{folder}/splits.mat: each of the {COUNT} images has to be in trainNdxs or in testNdxs, "
        "once"
    )


def test_a_class_without_images(prepared: Make, folder: Path) -> None:
    without = ["foyer" if name == "home_office" else name for name in SCENES]
    write_both(folder, sceneTypes=without * COPIES)
    message = f"{folder}/{LABELLED}: no training image of the class 'home office'"
    assert failure(prepared) == message


def test_a_class_without_test_images(prepared: Make, folder: Path) -> None:
    write_splits(folder / "splits.mat", [*TRAIN, 2, 24], [each for each in TEST if each % 22 != 2])
    assert failure(prepared) == f"{folder}/{LABELLED}: no test image of the class 'kitchen'"


def test_colour_teaches_depth_without_labels(project: Project) -> None:
    write_both(project.data / "raw" / "nyu_depth_v2")
    planned = project.plan(
        {
            "!data": {"source": "nyu-depth", "image_size": 8, "augmentation": {"pad": 1}},
            "training": {"epochs": 2},
            "teachers": {"t": {"arch": "resnet8", "channels": [0, 1, 2]}},
            "pairs": {"p": {"teacher": "t", "student": "resnet8", "channels": [3]}},
            "!methods": {
                "infonce": {"weights": {"ce": 0}, "options": {"negatives": "all"}},
                "crd": {
                    "weights": {"ce": 0},
                    "options": {"negatives_from": "all", "negatives": 8},
                },
            },
        }
    )
    seen = []
    for row in planned.rows:
        trained = project.make(planned, planned.runs[row.run])
        info = DataSetInfo.load(Artifact(project.data / trained.manifest["inputs"]["prepared"]))
        assert info.shape == (8, 8, 4)
        first = next(load_network(trained, info).parameters())
        assert torch.isfinite(first).all()
        seen.append(first.shape[1])
    assert sorted(seen) == [1, 1, 3]
