"""Writes the shapes of stage maps as a user reads them."""

from __future__ import annotations

Shapes = tuple[tuple[int, int, int], ...]


def written(shapes: Shapes) -> str:
    """Return shapes in words: ``16x32x32, 32x16x16``."""
    return ", ".join("x".join(str(size) for size in shape) for shape in shapes) or "none"
