from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import pixels, save_image
from PIL import Image
from torchvision.transforms import v2

from distillery.core.errors import UserError
from distillery.data.prepared import DataSetInfo, load
from distillery.data.sources.imagenet import square
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]
WNIDS = ("n01440764", "n01443537")


@pytest.fixture
def folder(data_root: Path) -> Path:
    """The training part, and validation images without anything that says their classes."""
    root = data_root / "raw" / "imagenet"
    for label, wnid in enumerate(WNIDS):
        for number in range(3):
            image = pixels(10 * label + number, 40 + 9 * number, 50, 3)
            save_image(root / "train" / wnid / f"{wnid}_{number}.JPEG", image)
        save_image(root / "val" / f"ILSVRC2012_val_0000000{label + 1}.JPEG", pixels(50, 60, 44, 3))
    return root


def into_folders(root: Path) -> None:
    for number, wnid in enumerate(reversed(WNIDS), start=1):
        (root / "val" / wnid).mkdir()
        name = f"ILSVRC2012_val_0000000{number}.JPEG"
        (root / "val" / name).rename(root / "val" / wnid / name)


LISTS = {
    "LOC_val_solution.csv": (
        "ImageId,PredictionString\n"
        f"ILSVRC2012_val_00000002,{WNIDS[0]} 85 1 499 272 \n"
        f"ILSVRC2012_val_00000001,{WNIDS[1]} 1 1 9 9 {WNIDS[1]} 2 2 8 8 \n"
    ),
    "val/val_annotations.txt": (
        f"ILSVRC2012_val_00000001.JPEG\t{WNIDS[1]}\t0\t0\n"
        f"ILSVRC2012_val_00000002.JPEG\t{WNIDS[0]}\n\n"
    ),
}


@pytest.mark.parametrize("layout", ["folders", *LISTS])
def test_layouts_of_the_validation_part(prepared: Make, folder: Path, layout: str) -> None:
    if layout == "folders":
        into_folders(folder)
    else:
        (folder / layout).write_text(LISTS[layout])
    artifact = prepared(source="imagenet", image_size=32)
    info, test = DataSetInfo.load(artifact), load(artifact, "test")
    assert (info.classes, info.shape) == (WNIDS, (32, 32, 3))
    assert load(artifact, "train").labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert sorted(test.labels.tolist()) == [0, 1]
    assert DataSetInfo.load(artifact).counts == {"train": 6, "test": 2}


def test_a_list_names_the_class_of_each_image(prepared: Make, folder: Path) -> None:
    (folder / "LOC_val_solution.csv").write_text(LISTS["LOC_val_solution.csv"])
    save_image(folder / "val" / "ILSVRC2012_val_00000001.JPEG", np.zeros((40, 40, 3), np.uint8))
    test = load(prepared(source="imagenet", image_size=32), "test")
    assert test.labels[test.images.flatten(1).amax(1) == 0].tolist() == [1]


def test_images_have_224_pixels_unless_said_otherwise(prepared: Make, folder: Path) -> None:
    into_folders(folder)
    assert DataSetInfo.load(prepared(source="imagenet")).shape == (224, 224, 3)


def test_test_images_are_resized_and_cut_as_usual(prepared: Make, folder: Path) -> None:
    into_folders(folder)
    usual = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])
    found = load(prepared(source="imagenet"), "test").images
    files = [next((folder / "val" / wnid).iterdir()) for wnid in WNIDS]
    expected = [torch.from_numpy(np.array(usual(Image.open(file)))) for file in files]
    assert torch.equal(found, torch.stack(expected))


@pytest.mark.parametrize("shape", [(30, 47), (47, 30), (31, 31), (8, 90)])
def test_squares_are_those_of_torchvision(shape: tuple[int, int]) -> None:
    image = pixels(3, *shape, 3)
    expected = v2.Compose([v2.Resize(21), v2.CenterCrop(16)])(Image.fromarray(image))
    assert np.array_equal(square(image, 16, 21), np.array(expected))
    grey = square(image[..., :1], 16, 21)
    assert grey.shape == (16, 16, 1)
    assert np.array_equal(grey, square(np.repeat(image[..., :1], 3, axis=2), 16, 21)[..., :1])


def test_training_images_keep_their_whole_shorter_side(prepared: Make, folder: Path) -> None:
    into_folders(folder)
    train = load(prepared(source="imagenet", image_size=40), "train").images
    first = np.array(Image.open(folder / "train" / WNIDS[0] / f"{WNIDS[0]}_0.JPEG"))
    assert np.array_equal(train[0].numpy(), first[:, 5:45])


def test_names_of_classes(prepared: Make, folder: Path) -> None:
    into_folders(folder)
    words = f"{WNIDS[0]} tench, Tinca tinca\n{WNIDS[1]} goldfish, Carassius auratus\n"
    (folder / "LOC_synset_mapping.txt").write_text(words)
    info = DataSetInfo.load(prepared(source="imagenet", image_size=32))
    assert info.classes == (f"{WNIDS[0]} tench", f"{WNIDS[1]} goldfish")


def test_a_flat_validation_part_needs_a_list(prepared: Make, folder: Path) -> None:
    message = "imagenet/val: neither folders of classes nor a list; put LOC_val_solution.csv or "
    with pytest.raises(UserError, match=message):
        prepared(source="imagenet")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"x.JPEG {WNIDS[0]}\n", "val_annotations.txt: line 1 names no image in val: 'x.JPEG"),
        (f"ILSVRC2012_val_00000001.JPEG {WNIDS[0]}\n", f"class {WNIDS[1]} is in train or val only"),
        ("ILSVRC2012_val_00000001.JPEG n9\n", r"class n\d+ is in train or val only"),
    ],
)
def test_wrong_lists(prepared: Make, folder: Path, line: str, message: str) -> None:
    (folder / "val_annotations.txt").write_text(line)
    with pytest.raises(UserError, match=message):
        prepared(source="imagenet")


def test_a_missing_set_names_its_place(prepared: Make) -> None:
    with pytest.raises(UserError, match=r"^imagenet: not found in "):
        prepared(source="imagenet")
