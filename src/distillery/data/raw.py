"""What a source of data is, and what it makes of its raw files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class SourceFacts:
    """What is known of a source before its files are read.

    Attributes:
        paths: usual names of its files or folders; empty when the user has to give the path.
        shape: side length and channels of its images, when they are always the same; without a
            side when the images are no squares, so that the user has to give ``image_size``.
        num_classes: number of its classes, when it is always the same.
        smallest_class: number of training images of the class that has the fewest, when known.
        built_in: whether nothing has to be downloaded.
        flips: whether a mirrored image is as good as the image.
        decoded: whether its images are files to decode, which several processes do faster.
        per_class: training images of each class, when they are always the same.
        downloaded: whether ``published()`` of its module gives the checksums of what it downloads.
        unused: names of files, without folders, that are neither read nor unpacked.
        heeds: which settings it heeds of those that mean something to some sources only.
    """

    paths: tuple[str, ...] = ()
    shape: tuple[int | None, int] | None = None
    num_classes: int | None = None
    smallest_class: int | None = None
    built_in: bool = False
    flips: bool = True
    decoded: bool = False
    per_class: tuple[int, ...] | None = None
    downloaded: bool = False
    unused: frozenset[str] = frozenset()
    heeds: frozenset[str] = frozenset({"resize", "filter"})


class Images(Protocol):
    """Images by number, each (H, W, C) uint8; an array (N, H, W, C) is one.

    C is 1 for grey, 3 for colour, or what the source says its channels are.
    """

    def __getitem__(self, number: int, /) -> np.ndarray:
        """Return one image (H, W, C), which may be read from disk only now."""
        ...


@dataclass(frozen=True)
class RawPart:
    """The training or the test part of a data set, in its canonical order.

    Attributes:
        labels: (N,) integers, positions in the list of classes.
        images: the N images.
        name: what to call an image in a message.
    """

    labels: np.ndarray
    images: Images
    name: Callable[[int], str] = "image {}".format


# Of sources whose images are files.
DECODED = frozenset({"resize", "filter", "background"})


@dataclass(frozen=True)
class RawData:
    """What a source reads.

    Attributes:
        name: name of the data set.
        classes: names of the classes, by label.
        channels: 1 when all images are grey, 3 for colour; others have to be in the
            ``SourceFacts``, and all images have them.
        train, test: the two parts.
        origin: file or folder name -> SHA-256 of the file, or of the folder's names and contents.
        normalisation: mean and standard deviation of each channel, where pixels range from 0 to 1,
            when the data set has official ones; else they are measured on the training part.
        notes: what whoever prepares it should know, a line each: what was found under which name,
            what was left out, what was drawn.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    train: RawPart
    test: RawPart
    origin: dict[str, str]
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    notes: tuple[str, ...] = ()
