"""Crop, flip and normalisation of 64 images of 32x32: vectorised, and image by image."""

from __future__ import annotations

import torch
import torchvision.transforms.functional as V
from timing import compare
from torch import Tensor

from distillery.data.augmentation import augment, decode, normalise
from distillery.data.settings import Augmentation

MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


def main() -> None:
    torch.set_num_threads(1)
    augmentation = Augmentation()
    images = torch.randint(0, 256, (64, 32, 32, 3), dtype=torch.uint8)
    crop = decode(torch.randint(0, augmentation.views, (64,)), augmentation)

    def vectorised() -> Tensor:
        return normalise(augment(images, crop, augmentation.pad), MEAN, STD)

    def one_by_one() -> Tensor:
        ready = []
        for image, top, left, flip in zip(images, crop.top, crop.left, crop.flip, strict=True):
            padded = V.pad(image.permute(2, 0, 1), [augmentation.pad])
            view = V.crop(padded, int(top), int(left), 32, 32)
            view = V.hflip(view) if flip else view
            ready.append(V.normalize(view.float() / 255, MEAN, STD))
        return torch.stack(ready)

    torch.testing.assert_close(vectorised(), one_by_one(), rtol=1e-5, atol=1e-5)
    compare({"vectorised": vectorised, "image by image": one_by_one})


if __name__ == "__main__":
    main()
