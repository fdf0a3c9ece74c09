"""Augmentation as numbered views, for whole batches on any device.

With crop and flip an image has finitely many views: each offset of the crop, flipped or not. Random
boxes are drawn from the number of the view (see ``boxes``). Whoever draws, caches or repeats
augmentation speaks of their numbers, ``0 <= view < augmentation.views``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from distillery.data.boxes import Boxes, draw, resize_boxes
from distillery.data.settings import Augmentation


@dataclass(frozen=True)
class CropFlip:
    """What happens to each image of a batch.

    Attributes:
        top, left: (B,) integers, offset of the crop in the padded image, 0 to 2 * pad.
        flip: (B,) bool, whether the crop is flipped horizontally.
    """

    top: Tensor
    left: Tensor
    flip: Tensor

    def to(self, device: torch.device) -> CropFlip:
        """Return the same crops on ``device``."""
        return CropFlip(self.top.to(device), self.left.to(device), self.flip.to(device))

    def of(self, rows: Tensor) -> CropFlip:
        """Return the crops of some of the images, ``rows`` (M,) int64."""
        return CropFlip(self.top[rows], self.left[rows], self.flip[rows])


def crop_parameters(
    view: Tensor, augmentation: Augmentation, shape: tuple[int, int]
) -> CropFlip | Boxes:
    """Return what view numbers stand for in images of one size.

    Args:
        view: (B,) int64, on any device.
        augmentation: what the views are of.
        shape: height and width of the images.

    Returns:
        Crops and flips, or boxes, of (B,) views on the CPU.
    """
    if augmentation.kind == "crop":
        return decode(view.cpu(), augmentation)
    return draw(view, augmentation, shape)


def apply_views(images: Tensor, parameters: CropFlip | Boxes, augmentation: Augmentation) -> Tensor:
    """Return one view of each image.

    Args:
        images: (B, H, W, C) uint8.
        parameters: crop or box of each image, (B,), on any device.
        augmentation: the settings that the parameters were drawn with.

    Returns:
        (B, h, w, C) uint8; h and w are H and W, or the size of the augmentation.
    """
    parameters = parameters.to(images.device)
    if isinstance(parameters, CropFlip):
        return augment(images, parameters, augmentation.pad)
    return resize_boxes(images, parameters, augmentation.output_side(images.shape[1]))


def decode(view: Tensor, augmentation: Augmentation) -> CropFlip:
    """Return the crops and flips that view numbers (B,) int64 stand for."""
    offsets = augmentation.offsets
    return CropFlip(
        top=view // offsets % offsets,
        left=view % offsets,
        flip=view >= offsets**2,
    )


def encode(crop: CropFlip, augmentation: Augmentation) -> Tensor:
    """Return the view numbers (B,) int64 of crops and flips: the inverse of ``decode``."""
    offsets = augmentation.offsets
    return (crop.flip.long() * offsets + crop.top.long()) * offsets + crop.left.long()


def identity_view(augmentation: Augmentation) -> int:
    """Return the number of the view that shows images as they are."""
    return augmentation.pad * augmentation.offsets + augmentation.pad


def augment(images: Tensor, crop: CropFlip, pad: int) -> Tensor:
    """Pad images with zeros, crop them to their old size, and flip some: torchvision's pixels.

    Args:
        images: (B, H, W, C) uint8.
        crop: (B,) offsets and flips, on the device of the images.
        pad: zeros added on every side.

    Returns:
        (B, H, W, C) uint8.
    """
    batch, height, width, channels = images.shape
    row = width * channels
    # Both mirrorings of every image, one below the other, so that one gather does all the work.
    # The flip of a crop is the crop of the mirrored image at the opposite offset.
    both = torch.cat((images, images.flip(2))).view(2 * batch, height, row)
    padded = F.pad(both, (pad * channels, pad * channels, pad, pad))
    image_step, row_step, _ = padded.stride()
    offsets = 2 * pad + 1
    crops = padded.as_strided(
        (2 * batch, offsets, offsets, height, row), (image_step, row_step, channels, row_step, 1)
    )
    flip = crop.flip.long()
    left = torch.where(crop.flip, 2 * pad - crop.left, crop.left).long()
    source = torch.arange(batch, device=images.device) + batch * flip
    return crops[source, crop.top.long(), left].view(images.shape)


def normalise(
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Turn pixels into what networks expect: ``(pixel / 255 - mean) / std`` for each channel.

    Args:
        images: (B, H, W, C) uint8.
        mean: mean of each channel, in units of 0 to 1.
        std: standard deviation of each channel, likewise.
        dtype: type of the result.

    Returns:
        (B, C, H, W), in the memory format ``channels_last``.
    """
    batch, height, width, channels = images.shape
    scale, shift = _affine(tuple(mean), tuple(std), width, images.device)
    rows = torch.addcmul(shift, images.reshape(batch, height, width * channels).float(), scale)
    return rows.to(dtype).view(images.shape).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _affine(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return factor and summand for a whole row of pixels, (W * C,) each.

    The inner loop over a row is ten times as fast as one over the channels of a pixel, and what is
    kept on the device need not be copied there for every batch.
    """
    scale = torch.tensor([1 / (255 * s) for s in std], device=device)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device)
    return scale.repeat(width), shift.repeat(width)
