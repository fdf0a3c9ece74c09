"""Image files and the shape of images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from distillery.core.errors import UserError
from distillery.data.files import Tree
from distillery.data.raw import RawPart

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm"}
# Pillow reads many more formats, some of them by starting other programs.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
_GREY = {"1", "L", "LA"}
_TOO_DEEP = {"I", "F", "I;16", "I;16B", "I;16L"}


class ImageFiles:
    """Images in files, each decoded when it is asked for."""

    def __init__(self, tree: Tree, names: Sequence[str], side: int | None = None) -> None:
        """List images.

        Args:
            tree: where they are.
            names: their files.
            side: height and width to resize them to, as ``resized`` does; None: as they are.
        """
        self._tree = tree
        self._names = names
        self._side = side

    def __getitem__(self, number: int, /) -> np.ndarray:
        """Return an image, (H, W, 1) when its file is grey, else (H, W, 3), uint8."""
        return _decode(self._tree.read(self._names[number]), self.name(number), self._side)

    def name(self, number: int) -> str:
        """Return the name of an image's file."""
        return self._tree.show(self._names[number])

    def part(self, labels: Sequence[int], side: int | None = None) -> RawPart:
        """Return these images with their labels, resized to ``side`` if it is given."""
        images = ImageFiles(self._tree, self._names, side)
        return RawPart(np.asarray(labels, dtype=np.int64), images, self.name)


def is_image(name: str) -> bool:
    """Tell by its name whether a file is an image of a known format."""
    return PurePosixPath(name).suffix.lower() in _SUFFIXES


def channels_of(images: ImageFiles, labels: Sequence[int]) -> int:
    """Return 1 when the first image of every class is grey, else 3.

    Looking at one image a class is cheap; whoever meets a colour image in a set that was taken for
    grey must refuse it.
    """
    first = np.unique(np.asarray(labels), return_index=True)[1]
    return max(int(images[int(number)].shape[2]) for number in first)


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Return an image (H, W, C) with other channels: grey is repeated, colour becomes luminance.

    Raises:
        ValueError: there is no such way from the image's channels to these.
    """
    found = image.shape[2]
    if found == channels:
        return image
    if {found, channels} != {1, 3}:
        raise ValueError(f"an image of {found} channels cannot be turned into one of {channels}")
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(Image.fromarray(image).convert("L"))[:, :, None]


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """Return (side, side, C); other proportions are lost.

    Reduced images average the area of each pixel, as the downsampled ImageNet sets do.
    """
    if image.shape[:2] == (side, side):
        return image
    if image.shape[2] == 3:
        return np.asarray(_resized(Image.fromarray(image), side))
    # Plane by plane: Pillow would take a fourth channel for opacity and weight the others by it.
    planes = (Image.fromarray(plane) for plane in np.moveaxis(image, 2, 0))
    return np.stack([np.asarray(_resized(each, side)) for each in planes], axis=2)


def _resized(image: Image.Image, side: int) -> Image.Image:
    if image.size == (side, side):
        return image
    method = Image.Resampling.BOX if min(image.size) >= side else Image.Resampling.BILINEAR
    return image.resize((side, side), method)


def _decode(content: bytes, name: str, side: int | None) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.mode in _TOO_DEEP:
                raise ValueError(f"more than 8 bits a channel, mode {image.mode}")
            mode = "L" if image.mode in _GREY else "RGB"
            plain = image if image.mode == mode else image.convert(mode)
            # Before the pixels leave Pillow: to give them back takes half as long as decoding.
            pixels = np.asarray(_resized(plain, side) if side else plain)
    except UnidentifiedImageError:
        raise UserError(f"{name}: not an image of a known format") from None
    # Pillow's decoders raise whatever they stumble over.
    except Exception as error:
        raise UserError(f"{name}: not a readable image ({error})") from None
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
