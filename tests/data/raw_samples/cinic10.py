"""Small folders of images as CINIC-10 has them."""

from pathlib import Path
from typing import Any

from data_samples import pixels, save_image

CLASSES = ("airplane", "automobile")


def cinic10(root: Path, images: int = 2, classes: tuple[str, ...] = CLASSES) -> Path:
    for number, part in enumerate(("train", "valid", "test")):
        for label, name in enumerate(classes):
            for count in range(images):
                image = pixels(100 * number + 10 * label + count, 32, 32, 3)
                save_image(root / part / name / f"cifar10-train-{count}.png", image)
    return root


def write(raw: Path, source: str) -> dict[str, Any]:
    """Write ten classes."""
    cinic10(raw / "CINIC-10", 1, tuple(f"class {label}" for label in range(10)))
    return {}
