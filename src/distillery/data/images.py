"""Image files and the shape of images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from distillery.core.errors import UserError
from distillery.data.files import Tree
from distillery.data.raw import RawPart
from distillery.data.settings import Reading

# Pillow reads many more formats, some of them by starting other programs.
_FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k"),
    "AVIF": (".avif",),
    "TGA": (".tga",),
    "PCX": (".pcx",),
    "ICO": (".ico",),
}
_READ = tuple(_FORMATS)
_SUFFIXES = {suffix for suffixes in _FORMATS.values() for suffix in suffixes}
_GREY = {"1", "L", "LA", "La"}
_TOO_DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Resizing:
    """How images become squares of one size.

    Attributes:
        side: height and width.
        crop: whether the central square is cut out first; else all of the image is squeezed.
        filter: as in the settings.
    """

    side: int
    crop: bool = False
    filter: str = "area"

    @classmethod
    def of(cls, settings: Reading) -> Resizing | None:
        """Return what the settings say; None if images stay as they are."""
        side = settings.image_size
        return cls(side, settings.resize == "crop", settings.filter) if side else None

    def applied(self, image: Image.Image) -> Image.Image:
        """Return an image as a square."""
        if self.crop and image.width != image.height:
            short = min(image.size)
            image = ImageOps.fit(image, (short, short), Image.Resampling.NEAREST)
        if image.size == (self.side, self.side):
            return image
        return image.resize((self.side, self.side), self._method(min(image.size)))

    def _method(self, shorter: int) -> Image.Resampling:
        if self.filter != "area":
            return _FILTERS[self.filter]
        return Image.Resampling.BOX if shorter >= self.side else Image.Resampling.BILINEAR


class ImageFiles:
    """Images in files, each decoded when it is asked for."""

    def __init__(
        self,
        tree: Tree,
        names: Sequence[str],
        resizing: Resizing | None = None,
        background: str = "white",
    ) -> None:
        """List images.

        Args:
            tree: where they are.
            names: their files.
            resizing: what they are resized to; None: as they are.
            background: colour that transparent ones are laid over.
        """
        self._tree = tree
        self._names = names
        self._resizing = resizing
        self._background = background

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, number: int, /) -> np.ndarray:
        """Return an image, (H, W, 1) when its file is grey, else (H, W, 3), uint8."""
        content, name = self._tree.read(self._names[number]), self.name(number)
        return _decode(content, name, self._resizing, self._background)

    def name(self, number: int) -> str:
        """Return the name of an image's file."""
        return self._tree.show(self._names[number])

    def header(self, number: int) -> Header:
        """Return what the head of an image's file says.

        Raises:
            UserError: it is not an image that can be read.
        """
        return _header(self._tree.read(self._names[number]), self.name(number))

    def part(self, labels: Sequence[int], settings: Reading) -> RawPart:
        """Return these images with their labels, in the form that the settings ask for."""
        images = ImageFiles(self._tree, self._names, Resizing.of(settings), settings.background)
        return RawPart(np.asarray(labels, dtype=np.int64), images, self.name)


@dataclass(frozen=True)
class Header:
    """What the head of an image file says.

    Attributes:
        size: width and height.
        mode: Pillow's name of what its channels mean.
        is_grey: whether it has no colours.
        is_transparent: whether it may be transparent somewhere.
        frames: how many images it holds.
    """

    size: tuple[int, int]
    mode: str
    is_grey: bool
    is_transparent: bool
    frames: int


def is_image(name: str) -> bool:
    """Tell by its name whether a file is an image of a known format."""
    return PurePosixPath(name).suffix.lower() in _SUFFIXES


def channels_of(images: ImageFiles) -> int:
    """Return 1 when all images are grey, else 3; the first one of colour ends the search."""
    return 1 if all(images.header(number).is_grey for number in range(len(images))) else 3


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


def resized(image: np.ndarray, resizing: Resizing) -> np.ndarray:
    """Return an image (H, W, C) as a square (side, side, C)."""
    if image.shape[:2] == (resizing.side, resizing.side):
        return image
    if image.shape[2] == 3:
        return np.asarray(resizing.applied(Image.fromarray(image)))
    # Plane by plane: Pillow would take a fourth channel for opacity and weight the others by it.
    planes = (Image.fromarray(plane) for plane in np.moveaxis(image, 2, 0))
    return np.stack([np.asarray(resizing.applied(each)) for each in planes], axis=2)


def _opened(content: bytes, name: str) -> Image.Image:
    """Open an image without decoding its pixels.

    Raises:
        UserError: it is none that can be read.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=_READ)
    except UnidentifiedImageError:
        raise UserError(f"{name}: not an image of a known format") from None
    # Pillow's decoders raise whatever they stumble over.
    except Exception as error:
        raise UserError(f"{name}: not a readable image ({error})") from None
    if image.mode in _TOO_DEEP:
        raise UserError(
            f"{name}: not a readable image (more than 8 bits a channel, mode {image.mode})"
        )
    return image


def _header(content: bytes, name: str) -> Header:
    with _opened(content, name) as image:
        try:
            return Header(
                size=image.size,
                mode=image.mode,
                is_grey=image.mode in _GREY,
                is_transparent=image.has_transparency_data,
                frames=getattr(image, "n_frames", 1),
            )
        # Decoders look for further frames where the first one ends, and stumble there, too.
        except Exception as error:
            raise UserError(f"{name}: not a readable image ({error})") from None


def _decode(content: bytes, name: str, resizing: Resizing | None, background: str) -> np.ndarray:
    with _opened(content, name) as image:
        try:
            plain = _plain(image, background)
            # Before the pixels leave Pillow: to give them back takes half as long as decoding.
            pixels = np.asarray(resizing.applied(plain) if resizing else plain)
        except Exception as error:
            raise UserError(f"{name}: not a readable image ({error})") from None
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _plain(image: Image.Image, background: str) -> Image.Image:
    """Return an image in grey or in colours, without transparency."""
    is_grey = image.mode in _GREY
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, (*ImageColor.getrgb(background)[:3], 255))
        image = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
        # A coloured ground gives colours to grey images, too; a set of grey ones stays grey.
    mode = "L" if is_grey else "RGB"
    return image if image.mode == mode else image.convert(mode)
