"""Data sets that are described without being prepared."""

from __future__ import annotations

from typing import Any

import torch

from distillery.data.info import DataSetInfo
from distillery.data.prepared import ImageSet


def made_up_info(**facts: Any) -> DataSetInfo:
    """Return a description with these facts, of which shape, mean and std have to be among."""
    usual = {
        "name": "made up",
        "classes": ("a", "b", "c"),
        "counts": {"train": 0, "test": 0},
        "per_class": {"train": (), "test": ()},
        "shared": 0,
        "origin": {},
    }
    return DataSetInfo(**{**usual, **facts})


def noise(count: int, side: int = 8) -> ImageSet:
    """Return colour images of noise, of three classes in turn."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, side, side, 3), generator=random).byte()
    return ImageSet(pixels, torch.arange(count) % 3, torch.arange(count))
