"""Small MATLAB files as SVHN publishes them."""

from pathlib import Path
from typing import Any

import numpy as np
from data_samples import pixels
from scipy.io import savemat

LABELS = np.array([10, 1, 9, 10, 3], dtype=np.uint8)


def write_part(path: Path, seed: int, labels: np.ndarray = LABELS) -> np.ndarray:
    """Write a file as it is published and return its images (N, 32, 32, 3)."""
    images = pixels(seed, 32, 32, 3, len(labels))
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"X": images, "y": labels[:, None]}, do_compression=True)
    return np.moveaxis(images, 3, 0)


def write(raw: Path, source: str) -> dict[str, Any]:
    """Write both parts."""
    for seed, name in enumerate(("train_32x32.mat", "test_32x32.mat")):
        write_part(raw / "svhn" / name, seed)
    return {}
