"""STL-10 (Coates et al. 2011): 5,000 training and 8,000 test images of 96 x 96 pixels.

The official binary files: pixels as bytes, an image after the other, each channel by itself and
column by column; labels as bytes from 1. The unlabelled images are not used.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from distillery.core.errors import UserError
from distillery.data.download import fetch
from distillery.data.files import RawFiles, Tree
from distillery.data.raw import RawData, RawPart, SourceFacts
from distillery.data.settings import Source

SOURCES = {
    "stl10": SourceFacts(
        ("stl10_binary", "stl10_binary.tar.gz"),
        (96, 3),
        num_classes=10,
        smallest_class=500,
        per_class=(500,) * 10,
        downloaded=True,
        unused=frozenset({"unlabeled_X.bin"}),
    )
}
_CLASSES = "class_names.txt"
_PLANES = (3, 96, 96)


def read(settings: Source, raw: RawFiles) -> RawData:
    """Read the official archive or the folder that it unpacks to."""
    tree = raw.tree(_located(settings, raw), SOURCES[settings.source].unused).root(_CLASSES)
    classes = tuple(filter(None, map(str.strip, tree.lines(_CLASSES))))
    return RawData(
        name=settings.source,
        classes=classes,
        channels=_PLANES[0],
        train=_part(tree, "train", len(classes)),
        test=_part(tree, "test", len(classes)),
        origin=tree.origin,
    )


def _part(tree: Tree, part: str, classes: int) -> RawPart:
    images, labels = (
        np.frombuffer(tree.read(f"{part}_{kind}.bin"), dtype=np.uint8) for kind in ("X", "y")
    )
    if len(images) != len(labels) * math.prod(_PLANES):
        raise UserError(
            f"{tree.show(part)}_X.bin: {len(images)} bytes, which are not the {len(labels)} images "
            f"of {part}_y.bin"
        )
    if len(labels) and not 1 <= labels.min() <= labels.max() <= classes:
        raise UserError(f"{tree.show(part)}_y.bin: labels leave the range from 1 to {classes}")
    channels_first = images.reshape(-1, *_PLANES)
    return RawPart(labels.astype(np.int64) - 1, channels_first.transpose(0, 3, 2, 1))


def published() -> dict[str, str]:
    """Return the MD5 of the official archive, which is what is downloaded."""
    from torchvision.datasets import STL10

    return {STL10.filename: STL10.tgz_md5}


def _located(settings: Source, raw: RawFiles) -> Path:
    """Return the path of the raw data, after downloading them if need be."""
    if settings.path:
        return raw.locate(settings.places)
    return raw.find(settings.places) or _downloaded(raw.roots[0])


def _downloaded(folder: Path) -> Path:
    """Fetch the official archive into ``folder``."""
    from torchvision.datasets import STL10

    return fetch(
        STL10.url,
        folder / STL10.filename,
        STL10.tgz_md5,
        f"put the file, or the folder {STL10.base_folder} that it unpacks to, into {folder}",
    )
