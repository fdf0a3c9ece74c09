"""Crop, flip and normalisation of 64 images of 32x32: image by image, and vectorised."""

from __future__ import annotations

import torch
import torchvision.transforms.functional as V
from torch import Tensor

from benchmarks.made_up import BATCH, MEAN, SIDE, STD, image_set
from benchmarks.rows import Row, ratio_row
from benchmarks.timing import called
from distillery.data.augmentation import augment, decode, normalise
from distillery.data.settings import Augmentation

CHECKED = True


def measure(quick: bool = False) -> list[Row]:
    """Return image by image / vectorised."""
    augmentation = Augmentation()
    images = image_set(BATCH).images
    crop = decode(torch.randint(0, augmentation.views, (BATCH,)), augmentation)

    def vectorised() -> Tensor:
        return normalise(augment(images, crop, augmentation.pad), MEAN, STD)

    def one_by_one() -> Tensor:
        ready = []
        for image, top, left, flip in zip(images, crop.top, crop.left, crop.flip, strict=True):
            padded = V.pad(image.permute(2, 0, 1), [augmentation.pad])
            view = V.crop(padded, int(top), int(left), SIDE, SIDE)
            view = V.hflip(view) if flip else view
            ready.append(V.normalize(view.float() / 255, MEAN, STD))
        return torch.stack(ready)

    torch.testing.assert_close(vectorised(), one_by_one(), rtol=1e-5, atol=1e-5)
    times = called({"vectorised": vectorised, "image by image": one_by_one}, 30 if quick else 100)
    slow, fast = times["image by image"], times["vectorised"]
    note = f"one gather a batch; {1e6 * fast.min() / BATCH:.1f} µs an image"
    return [ratio_row("image by image / vectorised", slow, fast, note=note)]
