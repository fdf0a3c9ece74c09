"""A small Tiny-ImageNet."""

from pathlib import Path
from typing import Any

from data_samples import tiny_imagenet


def write(raw: Path, source: str) -> dict[str, Any]:
    """Write three classes."""
    tiny_imagenet(raw / "tiny-imagenet-200")
    return {}
