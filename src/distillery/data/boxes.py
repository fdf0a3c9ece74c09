"""Random boxes of images, as numbered views, and their pixels at another size.

A view's number is all that its box is drawn from, so that whoever caches or repeats a view draws
the same one. Boxes follow the rule of torchvision's ``RandomResizedCrop``: area and (logarithm of
the) shape are uniform, ten attempts are made to fit such a box into the image, and if all fail the
central box of the nearest allowed shape is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distillery.core.randomness import mix, seed_for
from distillery.data.settings import Augmentation

_ATTEMPTS = 10
_DRAWS_PER_ATTEMPT = 4
_CHUNK = 2**16
"""Views drawn at a time: the attempts of many take much more memory than their boxes."""
_RESOLUTION = 2.0**15
"""Weights of pixels are multiples of 1 / _RESOLUTION.

Their sums with 8-bit pixels are then exact in single precision, whatever the order of summation:
the pixels of a view depend neither on the batch that it is in nor on the device.
"""


@dataclass(frozen=True)
class Boxes:
    """The box that is cut out of each image of a batch.

    Attributes:
        top, left: (B,) integers, first row and column of the box.
        height, width: (B,) integers, its size in pixels.
        flip: (B,) bool, whether the box is flipped horizontally.
    """

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor

    def to(self, device: torch.device) -> Boxes:
        """Return the same boxes on ``device``."""
        return Boxes(
            self.top.to(device),
            self.left.to(device),
            self.height.to(device),
            self.width.to(device),
            self.flip.to(device),
        )

    def of(self, rows: Tensor) -> Boxes:
        """Return the boxes of some of the images, ``rows`` (M,) int64."""
        return Boxes(
            self.top[rows], self.left[rows], self.height[rows], self.width[rows], self.flip[rows]
        )


def draw(view: Tensor, augmentation: Augmentation, shape: tuple[int, int]) -> Boxes:
    """Return the boxes that view numbers stand for.

    They are computed in double precision on the CPU, so that they are the same everywhere.

    Args:
        view: (B,) int64.
        augmentation: of the kind ``random-resized-crop``.
        shape: height and width of the images.

    Returns:
        (B,) boxes on the CPU.
    """
    chunks = [
        _drawn(chunk.numpy(), augmentation, shape) for chunk in torch.split(view.cpu(), _CHUNK)
    ]
    columns = (np.concatenate(column) for column in zip(*chunks, strict=True))
    top, left, height, width, flip = (torch.from_numpy(column) for column in columns)
    return Boxes(top, left, height, width, flip)


def _drawn(
    view: np.ndarray, augmentation: Augmentation, shape: tuple[int, int]
) -> tuple[np.ndarray, ...]:
    """Return top, left, height, width (int64) and flip (bool) of each view."""
    uniform = _uniform(view)
    area, shift, down, along = np.moveaxis(
        uniform[:, :-1].reshape(-1, _ATTEMPTS, _DRAWS_PER_ATTEMPT), 2, 0
    )
    heights, widths = _sizes(area, shift, augmentation, shape)
    fits = (heights >= 1) & (heights <= shape[0]) & (widths >= 1) & (widths <= shape[1])
    rows, chosen = np.arange(len(uniform)), fits.argmax(axis=1)
    placed = fits[rows, chosen]
    central = _central(augmentation, shape)
    height = np.where(placed, heights[rows, chosen], central[0])
    width = np.where(placed, widths[rows, chosen], central[1])
    top = np.where(placed, _offset(down[rows, chosen], shape[0] - height), (shape[0] - height) // 2)
    left = np.where(placed, _offset(along[rows, chosen], shape[1] - width), (shape[1] - width) // 2)
    flip = (uniform[:, -1] < 0.5) & augmentation.flips
    return (*(column.astype(np.int64) for column in (top, left, height, width)), flip)


def resize_boxes(images: Tensor, boxes: Boxes, side: int) -> Tensor:
    """Resize boxes of images to squares, bilinearly and with antialiasing.

    The filter is the triangle that torchvision takes with ``antialias=True``: as wide as a pixel of
    the result where a box shrinks, as a pixel of the image where it grows. Rows are resized first;
    the pixels in between are rounded to 8 bits, as Pillow rounds them.

    Memory beside images and result: a few matrices of B * side * max(H, W) doubles.

    Args:
        images: (B, H, W, C) uint8.
        boxes: (B,) boxes, on the device of the images.
        side: height and width of the result.

    Returns:
        (B, side, side, C) uint8.
    """
    batch, height, width, channels = images.shape
    down = _weights(boxes.top, boxes.height, height, side)
    along = _weights(boxes.left, boxes.width, width, side)
    along = torch.where(boxes.flip[:, None, None], along.flip(1), along)
    rows = _rounded(down @ images.reshape(batch, height, width * channels).float())
    columns = rows.view(batch, side, width, channels).transpose(1, 2)
    pixels = _rounded(along @ columns.reshape(batch, width, side * channels))
    return pixels.view(batch, side, side, channels).transpose(1, 2).to(torch.uint8)


def _rounded(pixels: Tensor) -> Tensor:
    return (pixels + 0.5).floor().clamp(0, 255)


def _weights(start: Tensor, length: Tensor, pixels: int, side: int) -> Tensor:
    """Return how much each of an image's pixels along one axis adds to each of the result's.

    Args:
        start: (B,) integers, first pixel of the box along this axis.
        length: (B,) integers, its size.
        pixels: pixels of the image along it.
        side: pixels of the result.

    Returns:
        (B, side, pixels) float32, each row adding up to 1 but for rounding.
    """
    step = length.double()[:, None, None] / side
    reach = step.clamp(min=1.0)
    targets = torch.arange(side, device=start.device, dtype=torch.float64)[None, :, None] + 0.5
    sources = torch.arange(pixels, device=start.device, dtype=torch.float64)[None, None, :]
    sources = sources - start[:, None, None]
    inside = (sources >= 0) & (sources < length[:, None, None])
    distance = (sources + 0.5 - targets * step).abs() / reach
    triangle = (1 - distance).clamp(min=0) * inside
    shares = triangle / triangle.sum(dim=2, keepdim=True)
    return ((shares * _RESOLUTION).round() / _RESOLUTION).float()


def _uniform(view: np.ndarray) -> np.ndarray:
    """Return (B, 41) numbers in [0, 1) that depend on the view alone."""
    count = _ATTEMPTS * _DRAWS_PER_ATTEMPT + 1
    salt = np.arange(count, dtype=np.uint64) + np.uint64(seed_for(0, "boxes"))
    hashed = mix(mix(view.astype(np.uint64))[:, None] + mix(salt)[None, :])
    return (hashed >> np.uint64(11)) * 2.0**-53


def _sizes(
    area: np.ndarray, shift: np.ndarray, augmentation: Augmentation, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return height and width of every attempt, (B, 10) each."""
    smallest, largest = augmentation.scale
    narrow, wide = np.log(augmentation.ratio)
    pixels = shape[0] * shape[1] * (smallest + (largest - smallest) * area)
    ratio = np.exp(narrow + (wide - narrow) * shift)
    return np.rint(np.sqrt(pixels / ratio)), np.rint(np.sqrt(pixels * ratio))


def _offset(uniform: np.ndarray, room: np.ndarray) -> np.ndarray:
    offset: np.ndarray = np.minimum(np.floor(uniform * (room + 1)), room)
    return offset


def _central(augmentation: Augmentation, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the largest box whose shape is the allowed one nearest the image's."""
    height, width = shape
    ratio = min(max(width / height, augmentation.ratio[0]), augmentation.ratio[1])
    if ratio > width / height:
        return max(1, round(width / ratio)), width
    return height, max(1, round(height * ratio))
