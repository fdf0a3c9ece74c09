"""A small folder of images."""

from pathlib import Path
from typing import Any

from data_samples import image_folder


def write(raw: Path, source: str) -> dict[str, Any]:
    """Write two classes."""
    image_folder(raw / "pets")
    return {"path": "pets"}
