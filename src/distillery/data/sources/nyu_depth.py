"""NYU-Depth V2 (Silberman et al. 2012): 795 training and 654 test images of rooms with depth.

A folder has the labelled part, ``nyu_depth_v2_labeled.mat``, and the official split,
``splits.mat``, as they are published; nothing is downloaded. The channels of an image are red,
green, blue and depth, where gaps of the camera are filled: 8 bits for 0 to 10 m, in steps of
3.9 cm; what is farther counts as 10 m.

The classes are those customary for scenes (Gupta et al. 2015, "Indoor Scene Understanding with
RGB-D Images", IJCV 112): nine of the 27 types of rooms, and the others as one. The labels of
pixels are not read.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from distillery.core.errors import UserError
from distillery.data.files import RawFiles, Tree
from distillery.data.raw import RawData, RawPart, SourceFacts
from distillery.data.settings import Source

SOURCES = {"nyu-depth": SourceFacts(("nyu_depth_v2",), (None, 4), num_classes=10)}
_LABELLED, _SPLITS = "nyu_depth_v2_labeled.mat", "splits.mat"
_ROOMS = (
    "bedroom",
    "kitchen",
    "living room",
    "bathroom",
    "dining room",
    "office",
    "home office",
    "classroom",
    "bookstore",
)
_CLASSES = (*_ROOMS, "others")
_FARTHEST = 10.0


def read(settings: Source, raw: RawFiles) -> RawData:
    """Open both files; images are read when they are asked for.

    Raises:
        UserError: files are missing, damaged, or not laid out as the source demands.
    """
    path = raw.locate(settings.places)
    if not path.is_dir():
        # HDF5 is read in place: an image at a time, out of 2.8 GB.
        raise UserError(f"{path}: not a folder; put {_LABELLED} and {_SPLITS} into one")
    tree = raw.tree(path).root(_LABELLED)
    content = _Labelled.opened(tree)
    train, test = _split(tree, len(content.labels))
    return RawData(
        name=settings.source,
        classes=_CLASSES,
        channels=4,
        train=content.part(train, "training"),
        test=content.part(test, "test"),
        origin=tree.origin,
    )


@dataclass(frozen=True)
class _Labelled:
    """The open file of images, in MATLAB's order of axes.

    Attributes:
        name: what to call the file in a message.
        colours: (N, 3, W, H) uint8, on disk.
        depths: (N, W, H) in metres, on disk.
        labels: (N,) positions in the list of classes.
    """

    name: str
    colours: Any
    depths: Any
    labels: np.ndarray

    @classmethod
    def opened(cls, tree: Tree) -> _Labelled:
        """Open the file, which stays open as long as its arrays are in use."""
        import h5py

        name = tree.show(_LABELLED)
        try:
            file = h5py.File(tree.files[_LABELLED], "r")
            colours, depths, types = (file[key] for key in ("images", "depths", "sceneTypes"))
            count, *size = colours.shape
            if (
                colours.dtype != np.uint8
                or depths.dtype.kind != "f"
                or len(size) != 3
                or size[0] != 3
                or depths.shape != (count, *size[1:])
                or types.shape != (1, count)
            ):
                raise ValueError("its images, depths and sceneTypes do not fit")
            scenes = ["".join(map(chr, file[scene][:, 0])).replace("_", " ") for scene in types[0]]
        # What a damaged file makes of HDF5 is anybody's guess.
        except Exception as error:
            raise UserError(f"{name}: not the labelled part of NYU-Depth V2 ({error})") from None
        others = len(_ROOMS)
        labels = [_ROOMS.index(scene) if scene in _ROOMS else others for scene in scenes]
        return cls(name, colours, depths, np.array(labels, dtype=np.int64))

    def part(self, numbers: np.ndarray, part: str) -> RawPart:
        """Return the images with these numbers, from 0, as a part that has every class."""
        labels = self.labels[numbers]
        missing = [name for label, name in enumerate(_CLASSES) if label not in labels]
        if missing:
            raise UserError(f"{self.name}: no {part} image of the class '{missing[0]}'")
        return RawPart(labels, _Pictures(self, numbers), lambda at: self.title(numbers[at]))

    def title(self, number: int) -> str:
        """Return what to call an image in a message; the file counts from 1."""
        return f"{self.name}: image {number + 1}"


@dataclass(frozen=True)
class _Pictures:
    """The images of a part, each read when it is asked for.

    Attributes:
        content: the file.
        numbers: (n,) positions of the images in the file.
    """

    content: _Labelled
    numbers: np.ndarray

    def __getitem__(self, position: int, /) -> np.ndarray:
        """Return an image, (H, W, 4) uint8."""
        number = int(self.numbers[position])
        try:
            colour, depth = self.content.colours[number], self.content.depths[number]
        except OSError as error:
            raise UserError(f"{self.content.title(number)} cannot be read ({error})") from None
        # NaN is not at least 0 either.
        if not (depth >= 0).all():
            raise UserError(f"{self.content.title(number)} has a depth that is no distance")
        steps = np.rint(np.minimum(depth, _FARTHEST) * (255 / _FARTHEST)).astype(np.uint8)
        return np.concatenate([colour, steps[None]]).transpose(2, 1, 0)


def _split(tree: Tree, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions, from 0, of the training and of the test images in the other file."""
    from scipy.io import loadmat

    keys, content = ("trainNdxs", "testNdxs"), tree.read(_SPLITS)
    try:
        arrays: dict[str, Any] = loadmat(io.BytesIO(content), variable_names=keys)
        train, test = (arrays[key].reshape(-1) for key in keys)
    # What a damaged file makes of SciPy's reader is anybody's guess.
    except Exception as error:
        raise UserError(f"{tree.show(_SPLITS)}: not a split of NYU-Depth V2 ({error})") from None
    if not np.array_equal(np.sort(np.concatenate([train, test])), np.arange(1, count + 1)):
        raise UserError(
            f"{tree.show(_SPLITS)}: each of the {count} images has to be in trainNdxs or in "
            "testNdxs, once"
        )
    return train.astype(np.int64) - 1, test.astype(np.int64) - 1
