"""ImageNet (ILSVRC 2012) in its usual folders, as squares of ``image_size`` (224) pixels.

``train/<wnid>/*`` are the training images. The validation images, which serve as test set, are in
``val/<wnid>/*``, or all in ``val`` with a list of their classes: ``LOC_val_solution.csv`` or
``val_annotations.txt``, beside ``val`` or in it, one image a line, its file and its class first.

Every image becomes a square before it is stored, so that all have one shape. Of a test image it is
what is usual in evaluation: the shorter side is resized to 8/7 of the square (256 for 224) and the
centre is cut out. Of a training image, which is cropped again while training, the shorter side is
resized to the square itself, so that more of it is kept. Both resize bilinearly, with antialiasing.
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from distillery.core.errors import UserError
from distillery.data.files import RawFiles, Tree
from distillery.data.images import ImageFiles, is_image
from distillery.data.raw import RawData, RawPart, SourceFacts
from distillery.data.settings import Source

_SIDE = 224
SOURCES = {
    "imagenet": SourceFacts(
        ("imagenet",),
        (_SIDE, 3),
        num_classes=1000,
        smallest_class=732,
        decoded=True,
        heeds=frozenset({"background"}),
    )
}
_LISTS = ("LOC_val_solution.csv", "val_annotations.txt")
_NAMES = "LOC_synset_mapping.txt"


def read(settings: Source, raw: RawFiles) -> RawData:
    """List the images; they are decoded when they are asked for.

    Raises:
        UserError: files are missing, damaged, or not laid out as the source demands.
    """
    tree = raw.tree(raw.locate(settings.places)).root("train")
    train = _by_folder(tree, "train")
    wnids = sorted(set(train.values()))
    has_folders = any(name.rpartition("/")[0] == "val" for name in tree.folders)
    test = _by_folder(tree, "val") if has_folders else _by_list(tree)
    if set(test.values()) != set(wnids):
        wnid = min(set(test.values()) ^ set(wnids))
        raise UserError(f"{tree.label}: class {wnid} is in train or val only; it must be in both")
    side = settings.image_size or _SIDE
    return RawData(
        name=settings.source,
        classes=_class_names(tree, wnids),
        channels=3,
        train=_part(tree, train, wnids, side, side, settings.background),
        test=_part(tree, test, wnids, side, round(side * 8 / 7), settings.background),
        origin=tree.origin,
    )


class Squares:
    """Images cut to squares, each when it is asked for."""

    def __init__(self, images: ImageFiles, side: int, short_side: int) -> None:
        self._images = images
        self._side = side
        self._short_side = short_side

    def __getitem__(self, number: int, /) -> np.ndarray:
        """Return an image, (side, side, C) uint8."""
        return square(self._images[number], self._side, self._short_side)


def square(image: np.ndarray, side: int, short_side: int) -> np.ndarray:
    """Resize the shorter side of (H, W, C) to ``short_side``; return the central square."""
    height, width, channels = image.shape
    size = (
        (short_side, int(short_side * height / width))
        if width <= height
        else (int(short_side * width / height), short_side)
    )
    pixels = Image.fromarray(image.squeeze(2) if channels == 1 else image)
    resized = np.asarray(pixels.resize(size, Image.Resampling.BILINEAR))
    top, left = (round((length - side) / 2) for length in resized.shape[:2])
    return resized[top : top + side, left : left + side].reshape(side, side, channels)


def _by_folder(tree: Tree, part: str) -> dict[str, str]:
    """Return image -> wnid of a part with a folder for each class."""
    found = {}
    for name in filter(is_image, tree.files):
        folder, _, wnid = name.rpartition("/")[0].rpartition("/")
        if folder == part:
            found[name] = wnid
    if not found:
        raise UserError(f"{tree.show(part)}: no folders with images, one for each class")
    return found


def _by_list(tree: Tree) -> dict[str, str]:
    """Return image -> wnid of validation images that lie in one folder."""
    candidates = (*_LISTS, *(f"val/{name}" for name in _LISTS))
    listing = next((name for name in candidates if name in tree.files), None)
    if listing is None:
        raise UserError(
            f"{tree.show('val')}: neither folders of classes nor a list; put {_LISTS[0]} or "
            f"{_LISTS[1]} beside it"
        )
    files = {}
    for name in filter(is_image, tree.files):
        folder, _, file = name.rpartition("/")
        if folder == "val":
            files[file.partition(".")[0]] = name
    found = {}
    for number, line in enumerate(tree.lines(listing), start=1):
        file, wnid, *_ = [*re.split(r"[,\s]+", line), ""]
        if file == "ImageId" or not line.strip():
            continue
        if file.partition(".")[0] not in files:
            raise UserError(f"{tree.show(listing)}: line {number} names no image in val: {line!r}")
        found[files[file.partition(".")[0]]] = wnid
    return found


def _class_names(tree: Tree, wnids: list[str]) -> tuple[str, ...]:
    """Return ``<wnid> <first word>`` of every class, or the wnid alone without a list of words."""
    lines = tree.lines(_NAMES) if _NAMES in tree.files else []
    words = dict(line.split(" ", 1) for line in lines if " " in line)
    return tuple(f"{wnid} {words.get(wnid, '').split(',')[0]}".strip() for wnid in wnids)


def _part(
    tree: Tree,
    wnid_of: dict[str, str],
    wnids: list[str],
    side: int,
    short_side: int,
    background: str,
) -> RawPart:
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    names = sorted(wnid_of)
    images = ImageFiles(tree, names, background=background)
    labels = np.array([label_of[wnid_of[name]] for name in names], dtype=np.int64)
    return RawPart(labels, Squares(images, side, short_side), images.name)
