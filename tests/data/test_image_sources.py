"""Image folders, Tiny-ImageNet and digits."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import CLASSES, image_folder, pack, pixels, save_image, tiny_imagenet
from PIL import Image
from sklearn.datasets import load_digits

from distillery.core.errors import UserError
from distillery.data.prepared import DataSetInfo, load
from distillery.runs.artifact import Artifact

Prepare = Callable[..., Artifact]


@pytest.fixture
def folder(data_root: Path) -> Path:
    return image_folder(data_root / "raw" / "pets")


def stacked(*files: Path) -> torch.Tensor:
    return torch.stack([torch.from_numpy(np.array(Image.open(file))) for file in files])


def failure(prepare: Prepare, **settings: object) -> str:
    with pytest.raises(UserError) as caught:
        prepare(**settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_images_and_labels_in_canonical_order(prepared: Prepare, folder: Path) -> None:
    artifact = prepared(source="image-folder", path="pets")
    info, train = DataSetInfo.load(artifact), load(artifact, "train")
    files = [
        folder / "train" / name / f"000{number}.png" for name in CLASSES for number in range(4)
    ]
    assert torch.equal(train.images, stacked(*files))
    assert train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (info.name, info.classes, info.shape) == ("pets", CLASSES, (6, 6, 3))
    assert info.counts == {"train": 8, "test": 4}
    assert info.per_class == {"train": (4, 4), "test": (2, 2)}


@pytest.mark.parametrize("archive", ["pets.tar", "pets.tar.gz", "pets.tar.xz", "pets.zip"])
def test_archives_give_the_same_files_as_the_folder(
    prepared: Prepare, data_root: Path, folder: Path, archive: str
) -> None:
    from_folder = prepared(source="image-folder", path="pets")
    pack(folder, data_root / "raw" / archive)
    from_archive = prepared(source="image-folder", path=archive)
    for name in ("train.parquet", "test.parquet"):
        assert from_archive.file(name).read_bytes() == from_folder.file(name).read_bytes()


def test_val_is_the_test_part_when_there_is_no_test(prepared: Prepare, data_root: Path) -> None:
    image_folder(data_root / "raw" / "pets", test_part="val")
    assert DataSetInfo.load(prepared(source="image-folder", path="pets")).counts["test"] == 4


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".jpg", ".JPEG", ".bmp", ".webp", ".ppm"])
def test_formats(prepared: Prepare, data_root: Path, suffix: str) -> None:
    root = image_folder(data_root / "raw" / "pets", suffix=suffix)
    found = load(prepared(source="image-folder", path="pets"), "test")
    assert torch.equal(found.images[:1], stacked(root / "test" / "bird" / f"0000{suffix}"))


def test_other_files_and_hidden_folders_are_left_alone(prepared: Prepare, folder: Path) -> None:
    (folder / "train" / "cat" / "Thumbs.db").touch()
    (folder / "train" / "cat" / ".0000.png").touch()
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    (folder / "README.txt").touch()
    info = DataSetInfo.load(prepared(source="image-folder", path="pets"))
    assert (info.classes, info.counts["train"]) == (CLASSES, 8)


def test_wrong_layouts(prepared: Prepare, folder: Path) -> None:
    settings = {"source": "image-folder", "path": "pets"}
    (folder / "test" / "cat" / "0000.png").rename(folder / "one.png")
    (folder / "test" / "cat" / "0001.png").unlink()
    assert failure(prepared, **settings) == f"{folder}/test/cat: no images in this class"
    (folder / "test" / "cat").rmdir()
    message = f"{folder}/test/cat: no such class, but the other part has it"
    assert failure(prepared, **settings) == message
    save_image(folder / "test" / "cat" / "0.png", pixels(0, 6, 6, 3))
    save_image(folder / "test" / "dog" / "0.png", pixels(0, 6, 6, 3))
    message = f"{folder}/train/dog: no such class, but the other part has it"
    assert failure(prepared, **settings) == message
    shutil.rmtree(folder / "train" / "cat")
    shutil.rmtree(folder / "train" / "bird")
    message = f"{folder}/train: no folders with images, one for each class"
    assert failure(prepared, **settings) == message
    shutil.rmtree(folder / "train")
    message = (
        f"{folder}: neither a folder 'train' nor two or more folders of classes, here or one level "
        "down (found: test); name its parts by data.parts: {train: FOLDER, test: FOLDER}"
    )
    assert failure(prepared, **settings) == message
    parts = {"train": "test", "test": "none"}
    message = f"{folder}/none: no such folder"
    assert failure(prepared, **settings, parts=parts) == message


def test_an_undecodable_image_is_named(prepared: Prepare, data_root: Path, folder: Path) -> None:
    bad = folder / "test" / "cat" / "0001.png"
    content = bad.read_bytes()
    bad.write_bytes(b"rubbish")
    message = failure(prepared, source="image-folder", path="pets")
    assert message == f"{bad}: not an image of a known format"
    bad.write_bytes(content[:60])
    message = failure(prepared, source="image-folder", path="pets")
    assert message.startswith(f"{bad}: not a readable image (")
    archive = pack(folder, data_root / "raw" / "pets.zip")
    message = failure(prepared, source="image-folder", path="pets.zip")
    assert message.startswith(f"{archive}:pets/test/cat/0001.png: not a readable image (")


def test_one_look_finds_all_undecodable_images(prepared: Prepare, folder: Path) -> None:
    first, *others = sorted((folder / "train" / "cat").iterdir())[:3]
    for bad in (first, *others):
        bad.write_bytes(b"rubbish")
    message = failure(prepared, source="image-folder", path="pets")
    names = ", ".join(map(str, others))
    assert message == f"{first}: not an image of a known format; the same of 2 more: {names}"


def test_an_image_of_another_size_is_named(prepared: Prepare, folder: Path) -> None:
    odd = folder / "train" / "cat" / "0002.png"
    save_image(odd, pixels(0, 5, 7, 3))
    assert failure(prepared, source="image-folder", path="pets") == (
        f"{odd}: 5 x 7 pixels, but the first training image has 6 x 6; set image_size to resize all"
    )


def test_resized(prepared: Prepare, data_root: Path) -> None:
    root = data_root / "raw" / "pets"
    for part in ("train", "test"):
        save_image(root / part / "a" / "0.png", pixels(1, 16, 16, 3))
        save_image(root / part / "a" / "1.png", pixels(2, 9, 30, 3))
        save_image(root / part / "a" / "2.png", pixels(3, 4, 4, 3))
    found = load(prepared(source="image-folder", path="pets", image_size=8), "train").images
    assert found.shape == (3, 8, 8, 3)
    areas = pixels(1, 16, 16, 3).reshape(8, 2, 8, 2, 3).mean(axis=(1, 3))
    assert np.abs(found[0].numpy() - areas).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_sets_have_one_channel_unless_colour_is_asked_for(
    prepared: Prepare, data_root: Path, channels: int
) -> None:
    image_folder(data_root / "raw" / "pets", channels=1)
    found = load(prepared(source="image-folder", path="pets", channels=channels), "train").images
    assert found.shape[3] == channels
    assert (found == found[..., :1]).all()
    if channels == 1:
        chosen = prepared(source="image-folder", path="pets")
        assert torch.equal(load(chosen, "train").images, found)


def test_grey_images_in_a_colour_set_become_colour(prepared: Prepare, folder: Path) -> None:
    grey = pixels(5, 6, 6, 1)
    save_image(folder / "train" / "bird" / "0000.png", grey)
    found = load(prepared(source="image-folder", path="pets"), "train").images[0].numpy()
    assert np.array_equal(found, np.repeat(grey, 3, axis=2))


def test_one_colour_image_makes_a_set_colour_unless_grey_is_asked_for(
    prepared: Prepare, data_root: Path
) -> None:
    root = image_folder(data_root / "raw" / "pets", channels=1)
    odd = root / "test" / "bird" / "0001.png"
    save_image(odd, pixels(0, 6, 6, 3))
    assert DataSetInfo.load(prepared(source="image-folder", path="pets")).shape == (6, 6, 3)
    found = load(prepared(source="image-folder", path="pets", channels=1), "test").images[1]
    assert np.array_equal(found[..., 0].numpy(), np.array(Image.open(odd).convert("L")))


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "LA", "1"])
def test_unusual_colour_modes(prepared: Prepare, folder: Path, mode: str) -> None:
    image = Image.fromarray(pixels(7, 6, 6, 3)).convert(mode)
    file = folder / "train" / "bird" / ("0000.jpg" if mode == "CMYK" else "0000.png")
    (folder / "train" / "bird" / "0000.png").unlink()
    image.save(file)
    found = load(prepared(source="image-folder", path="pets"), "train").images[0].numpy()
    assert np.array_equal(found, np.array(Image.open(file).convert("RGB")))


def test_deep_images_are_refused_rather_than_clipped(prepared: Prepare, folder: Path) -> None:
    bad = folder / "train" / "bird" / "0000.png"
    Image.fromarray(np.full((6, 6), 40000, dtype=np.uint16)).save(bad)
    message = failure(prepared, source="image-folder", path="pets")
    assert message.startswith(f"{bad}: not a readable image (more than 8 bits a channel")


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar.xz"])
def test_tiny_imagenet(prepared: Prepare, data_root: Path, tmp_path: Path, suffix: str) -> None:
    root = tiny_imagenet(tmp_path / "tiny-imagenet-200")
    target = data_root / "raw" / f"tiny-imagenet-200{suffix}"
    pack(root, target) if suffix else root.rename(target)
    path = target.name if suffix == ".tar.xz" else None
    artifact = prepared(source="tiny-imagenet", path=path)
    info, train, test = DataSetInfo.load(artifact), load(artifact, "train"), load(artifact, "test")
    assert info.classes == ("n01 goldfish", "n02 crane", "n03 crane")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert test.labels.tolist() == [1, 0, 2]  # by name of the file: val_7, val_8, val_9
    if not suffix:
        names = [f"train/{n}/images/{n}_{i}.JPEG" for n in ("n01", "n02", "n03") for i in range(3)]
        assert torch.equal(train.images, stacked(*(target / name for name in names)))
        assert torch.equal(test.images[:1], stacked(target / "val/images/val_7.JPEG"))


def test_tiny_imagenet_resized(prepared: Prepare, data_root: Path) -> None:
    tiny_imagenet(data_root / "raw" / "tiny-imagenet-200", side=64)
    info = DataSetInfo.load(prepared(source="tiny-imagenet", image_size=32))
    assert info.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("wnids.txt", "n01\nn02\nn03\nn04\n", "/train/n04/images: no images of this class"),
        ("wnids.txt", "n01\nn02\n", "/val/val_annotations.txt: line 1 names no class: 'val_9.JPEG"),
        ("val/val_annotations.txt", "val_9.JPEG\n", "/val/val_annotations.txt: line 1 names no"),
        ("val/val_annotations.txt", "x.JPEG\tn01\n", "/val/images/x.JPEG: no such file, but it is"),
        (
            "val/val_annotations.txt",
            "val_9.JPEG\tn01\n",
            "val_annotations.txt: no image of class n02",
        ),
        (
            "val/val_annotations.txt",
            "../../secret\tn01\n",
            "/val/images/../../secret: no such file",
        ),
    ],
)
def test_wrong_tiny_imagenet(
    prepared: Prepare, data_root: Path, file: str, content: str, message: str
) -> None:
    root = tiny_imagenet(data_root / "raw" / "tiny-imagenet-200")
    (root / file).write_text(content)
    assert message in failure(prepared, source="tiny-imagenet")


@pytest.mark.parametrize("file", ["words.txt", "val/val_annotations.txt", "wnids.txt"])
def test_missing_list_of_tiny_imagenet(prepared: Prepare, data_root: Path, file: str) -> None:
    root = tiny_imagenet(data_root / "raw" / "tiny-imagenet-200")
    (root / file).unlink()
    assert f"{root}/{file}: no such file" in failure(prepared, source="tiny-imagenet")


def test_missing_set(prepared: Prepare) -> None:
    message = failure(prepared, source="tiny-imagenet")
    assert message.startswith("tiny-imagenet-200 or tiny-imagenet-200.zip: not found in ")


def test_digits(prepared: Prepare) -> None:
    artifact = prepared(source="digits")
    info = DataSetInfo.load(artifact)
    assert info.counts == {"train": 1197, "test": 600}
    assert info.shape == (8, 8, 1)
    assert info.classes == tuple("0123456789")
    parts = load(artifact, "train"), load(artifact, "test")
    for part in parts:
        assert np.bincount(part.labels).min() > 0.09 * len(part)
    found = torch.cat([part.images for part in parts]).numpy().reshape(1797, 64)
    expected = np.floor(load_digits().data * 255 / 16 + 0.5).astype(np.uint8)
    assert sorted(map(bytes, found)) == sorted(map(bytes, expected))


def test_digits_in_the_shape_of_cifar(prepared: Prepare) -> None:
    info = DataSetInfo.load(prepared(source="digits", image_size=32, channels=3))
    assert info.shape == (32, 32, 3)
    assert len(info.mean) == len(info.std) == 3
