"""Images that do not belong to a data set, in the form that those of one have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distillery.core.errors import UserError
from distillery.data.files import Tree
from distillery.data.images import ImageFiles
from distillery.data.prepare import as_prepared
from distillery.data.settings import Reading


def read_image(path: Path, shape: tuple[int, int, int], settings: Reading) -> np.ndarray:
    """Read an image file as the stage ``prepare`` would, (H, W, C) uint8.

    Args:
        path: the file.
        shape: height, width and channels of the data set's images.
        settings: the settings that it was prepared with.

    Raises:
        UserError: there is no such file, it is no image, or the data set's are not made of files.
    """
    if shape[2] not in (1, 3):
        raise UserError(f"{path}: the network sees {shape[2]} channels, which no image file has")
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    tree = Tree({path.name: path}, frozenset(), Path.read_bytes, f"{path.parent}/", {})
    part = ImageFiles(tree, [path.name]).part([0], settings)
    return as_prepared(part.images[0], str(path), shape, settings)
