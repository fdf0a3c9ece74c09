"""Scikit-learn's handwritten digits: 1797 grey images of 8 x 8 pixels, for fast runs anywhere."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from distillery.core.files import checksum
from distillery.data.files import RawFiles
from distillery.data.raw import RawData, RawPart, SourceFacts
from distillery.data.settings import Source

SOURCES = {
    "digits": SourceFacts(
        shape=(8, 1),
        num_classes=10,
        smallest_class=116,
        per_class=(119, 121, 118, 122, 120, 121, 121, 119, 116, 120),
        built_in=True,
        flips=False,
    )
}
_LARGEST_VALUE = 16
_TEST_IMAGES = 600


def read(settings: Source, raw: RawFiles) -> RawData:
    """Return 1197 training and 600 test images in a fixed, stratified split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.rint(digits.images * (255 / _LARGEST_VALUE)).astype(np.uint8)[..., None]
    train, test = train_test_split(
        np.arange(len(images)), test_size=_TEST_IMAGES, stratify=digits.target, random_state=0
    )
    file = resources.files("sklearn.datasets.data") / "digits.csv.gz"
    with resources.as_file(file) as path:
        origin = {f"scikit-learn {path.name}": checksum(Path(path))}
    return RawData(
        name="digits",
        classes=tuple("0123456789"),
        channels=1,
        train=_part(images, digits.target, train),
        test=_part(images, digits.target, test),
        origin=origin,
    )


def _part(images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> RawPart:
    chosen = np.sort(chosen)
    return RawPart(labels[chosen], images[chosen])
