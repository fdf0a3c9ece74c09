"""Where an image folder has its parts and classes, and what is said of what it does not use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_samples import image_folder, pack, pixels, save_image
from PIL import Image

from distillery.core.errors import UserError
from distillery.data.card import Card
from distillery.data.looking import card_of
from distillery.data.prepared import DataSetInfo, load
from distillery.data.settings import Source
from distillery.runs.artifact import Artifact

Prepare = Callable[..., Artifact]


@pytest.fixture
def root(data_root: Path) -> Path:
    return data_root / "raw" / "pets"


def card(data_root: Path, **settings: object) -> Card:
    return card_of(Source(source="image-folder", path="pets", **settings), data_root)


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "valid"), ("Training", "Testing"), ("TRAIN", "Val"), ("training", "validation")],
)
def test_parts_have_many_names(root: Path, data_root: Path, train: str, test: str) -> None:
    image_folder(root, test_part=test)
    if train != "train":
        (root / "train").rename(root / train)
    assert card(data_root).per_class == {"train": (4, 4), "test": (2, 2)}


def test_a_test_part_needs_classes(root: Path, data_root: Path) -> None:
    image_folder(root, test_part="val")
    save_image(root / "test" / "1.png", pixels(0, 6, 6, 3))
    found = card(data_root)
    assert found.per_class["test"] == (2, 2)
    assert found.notes == (
        "test has no folders of classes, so that it is no test part",
        "the test part is val",
        "left out: 1 file, images in test (test/1.png)",
    )


def test_parts_can_be_named(root: Path, data_root: Path) -> None:
    image_folder(root, test_part="holdout")
    found = card(data_root, parts={"train": "train", "test": "holdout"})
    assert found.per_class == {"train": (4, 4), "test": (2, 2)}


@pytest.mark.parametrize("packed", [False, True])
def test_folders_of_classes_alone_are_a_set(root: Path, data_root: Path, *, packed: bool) -> None:
    """A stratified test part is drawn from them, the same in every order of files."""
    image_folder(root / "all", train=10)
    for part in ("train", "test"):
        for name in ("bird", "cat") if part == "train" else ():
            (root / "all" / part / name).rename(root / name)
    shutil.rmtree(root / "all")
    path = "pets"
    if packed:
        path = pack(root, data_root / "raw" / "pets.zip").name
    source = Source(source="image-folder", path=path)
    found = card_of(source, data_root)
    assert found.classes == ("bird", "cat")
    assert found.per_class == {"train": (8, 8), "test": (2, 2)}
    assert found.notes == (
        "2 folders are taken for the classes",
        "no test part: 20 % of each class's images are drawn (test_seed 0)",
    )


def test_the_draw_follows_share_and_seed(prepared: Prepare, root: Path) -> None:
    image_folder(root, train=10)
    shutil.rmtree(root / "test")

    def drawn(**settings: object) -> list[bytes]:
        found = load(prepared(source="image-folder", path="pets", **settings), "test")
        return [bytes(image.numpy()) for image in found.images]

    assert len(drawn(test_fraction=0.3)) == 6
    assert drawn() != drawn(test_seed=1)
    every = load(prepared(source="image-folder", path="pets"), "train")
    assert len(every) == 16
    assert not {bytes(image.numpy()) for image in every.images} & {*drawn()}


def test_one_image_of_a_class_is_too_few_to_draw_from(root: Path, data_root: Path) -> None:
    image_folder(root, train=1)
    shutil.rmtree(root / "test")
    with pytest.raises(UserError, match=r"0000.png: the only image of the class 'bird'"):
        card(data_root)


def test_what_has_no_classes_is_refused_with_what_was_found(root: Path, data_root: Path) -> None:
    save_image(root / "some" / "1.png", pixels(0, 6, 6, 3))
    with pytest.raises(UserError, match=r"\(found: some\); name its parts by data.parts"):
        card(data_root)


def test_formats_and_folders_below_a_class_are_read_and_the_rest_is_counted(
    prepared: Prepare, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image_folder(root)
    save_image(root / "train" / "cat" / "session2" / "deep" / "1.tif", pixels(90, 6, 6, 3))
    Image.fromarray(pixels(91, 6, 6, 3)).save(root / "train" / "cat" / "2.jfif", format="JPEG")
    for number in range(4):
        (root / "train" / "bird" / f"{number}.psd").write_bytes(b"x")
    (root / "README").write_bytes(b"x")
    info = DataSetInfo.load(prepared(source="image-folder", path="pets"))
    assert info.per_class["train"] == (4, 6)
    assert info.notes == (
        "left out: 4 files, .psd (train/bird/0.psd, train/bird/1.psd, train/bird/2.psd, ...)",
        "left out: 1 file, without a suffix (README)",
    )
    assert capsys.readouterr().out.splitlines() == [f"pets: {note}" for note in info.notes]


@pytest.mark.parametrize(("background", "value"), [("white", 255), ("#204060", None)])
def test_transparency_is_laid_over_a_background(
    prepared: Prepare, root: Path, background: str, value: int | None
) -> None:
    image_folder(root)
    shape = np.zeros((6, 6, 4), dtype=np.uint8)
    shape[:3, :, 3] = 255
    Image.fromarray(shape).save(root / "train" / "bird" / "0000.png")
    artifact = prepared(source="image-folder", path="pets", background=background)
    image = load(artifact, "train").images[0].numpy()
    assert (image[:3] == 0).all()
    assert (image[3:] == (value or (0x20, 0x40, 0x60))).all()
    (note,) = DataSetInfo.load(artifact).notes
    assert note == f"1 of 12 images have transparency: they are laid over {background}"


def test_several_frames(root: Path, data_root: Path) -> None:
    image_folder(root)
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    frames[0].save(root / "train" / "cat" / "a.gif", save_all=True, append_images=frames[1:])
    assert card(data_root).notes == ("1 of 13 images have several frames: the first is taken",)


def test_a_file_that_is_cut_off_between_frames(root: Path, data_root: Path) -> None:
    image_folder(root)
    file = root / "train" / "cat" / "a.gif"
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    whole = file.read_bytes()
    said = set()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        try:
            card(data_root)
        except UserError as error:
            said.add(str(error).rpartition(": ")[2].partition(" (")[0])
    assert said == {"not an image of a known format", "not a readable image"}


def test_squash_and_crop(prepared: Prepare, root: Path) -> None:
    image_folder(root)
    wide = pixels(5, 8, 16, 3)
    save_image(root / "train" / "bird" / "0000.png", wide)

    def first(**settings: object) -> np.ndarray:
        settings = {"source": "image-folder", "path": "pets", "image_size": 8, **settings}
        return load(prepared(**settings), "train").images[0].numpy()

    assert np.array_equal(first(resize="crop"), wide[:, 4:12])
    halves = wide.reshape(8, 8, 2, 3).mean(axis=2)
    assert np.abs(first() - halves).max() <= 1
    whole = Image.fromarray(wide)
    squashed = whole.resize((8, 8), Image.Resampling.BICUBIC)
    assert np.array_equal(first(filter="bicubic"), np.asarray(squashed))


def test_sizes_that_differ_are_found_at_a_look(root: Path, data_root: Path) -> None:
    image_folder(root)
    save_image(root / "test" / "cat" / "0001.png", pixels(0, 5, 7, 3))
    with pytest.raises(UserError, match=r"0001.png: 5 x 7 pixels, .*; set image_size"):
        card(data_root)
    assert card(data_root, image_size=8).per_class["test"] == (2, 2)


def test_settings_that_mean_nothing_to_a_source_are_refused() -> None:
    for setting in ({"test_fraction": 0.5}, {"background": "black"}, {"parts": {"train": "x"}}):
        with pytest.raises(ValueError, match="has no meaning for the data source 'cifar10'"):
            Source(source="cifar10", **setting)
    with pytest.raises(ValueError, match="found 'whitish'; allowed are names of colours"):
        Source(source="image-folder", path="x", background="whitish")


@pytest.mark.parametrize(
    ("classes", "order"),
    [
        (("cat", "dog", "Emu"), "Emu, cat, dog"),
        (("1", "2", "10"), "1, 10, 2"),
        (("cat", "dog"), None),
        (("0", "1", "9"), None),
    ],
)
def test_an_order_that_others_may_not_share_is_said(
    root: Path, data_root: Path, classes: tuple[str, ...], order: str | None
) -> None:
    image_folder(root, classes=classes)
    found = card(data_root)
    assert [note.partition(": a checkpoint")[0] for note in found.notes] == (
        [f"classes are numbered in the order of their bytes, {order}"] if order else []
    )
