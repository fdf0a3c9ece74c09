"""SVHN's cropped digits (Netzer et al. 2011): 73,257 training and 26,032 test images of 32 x 32.

The two MATLAB files are read as they are published, with the digit 0 labelled 10. The additional
training images (``extra_32x32.mat``) are not used. Digits are not flipped unless asked for.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from distillery.core.errors import UserError
from distillery.data.download import fetch
from distillery.data.files import RawFiles, Tree
from distillery.data.raw import RawData, RawPart, SourceFacts
from distillery.data.settings import Source

SOURCES = {
    "svhn": SourceFacts(
        ("svhn",),
        (32, 3),
        num_classes=10,
        smallest_class=4659,
        per_class=(4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
        flips=False,
        downloaded=True,
        unused=frozenset({"extra_32x32.mat"}),
    )
}
_TRAIN, _TEST = "train_32x32.mat", "test_32x32.mat"
_SHAPE = (32, 32, 3)
_DIGITS = 10


def read(settings: Source, raw: RawFiles) -> RawData:
    """Read both files out of one folder or archive."""
    tree = raw.tree(_located(settings, raw), SOURCES[settings.source].unused).root(_TRAIN)
    return RawData(
        name=settings.source,
        classes=tuple("0123456789"),
        channels=_SHAPE[2],
        train=_part(tree, _TRAIN),
        test=_part(tree, _TEST),
        origin=tree.origin,
    )


def _part(tree: Tree, name: str) -> RawPart:
    images, labels = _arrays(tree, name)
    if (
        images.shape != (*_SHAPE, len(labels))
        or images.dtype != np.uint8
        or labels.dtype.kind not in "iu"
        or (len(labels) and not 1 <= labels.min() <= labels.max() <= _DIGITS)
    ):
        raise UserError(f"{tree.show(name)}: not an SVHN file (its X and y do not fit)")
    return RawPart(labels.astype(np.int64) % _DIGITS, np.moveaxis(images, 3, 0))


def _arrays(tree: Tree, name: str) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    content = tree.read(name)
    try:
        arrays: dict[str, Any] = loadmat(io.BytesIO(content), variable_names=["X", "y"])
        return arrays["X"], arrays["y"].reshape(-1)
    # What a damaged file makes of SciPy's reader is anybody's guess.
    except Exception as error:
        raise UserError(f"{tree.show(name)}: not an SVHN file ({error})") from None


def published() -> dict[str, str]:
    """Return the MD5 of each official file."""
    from torchvision.datasets import SVHN

    return {name: md5 for _, name, md5 in (SVHN.split_list[part] for part in ("train", "test"))}


def _located(settings: Source, raw: RawFiles) -> Path:
    """Return the folder of the raw data, after downloading what is missing."""
    if settings.path:
        return raw.locate(settings.places)
    (folder,) = SOURCES[settings.source].paths
    return raw.find([folder]) or _downloaded(raw.roots[0] / folder)


def _downloaded(folder: Path) -> Path:
    """Fetch the two files into ``folder``, which appears with both of them or not at all."""
    from torchvision.datasets import SVHN

    advice = f"put {_TRAIN} and {_TEST} into {folder}"
    unfinished = folder.with_name(f".{folder.name}-unfinished")
    for url, name, md5 in (SVHN.split_list[part] for part in ("train", "test")):
        if not (unfinished / name).exists():
            fetch(url, unfinished / name, md5, advice)
    unfinished.replace(folder)
    return folder
