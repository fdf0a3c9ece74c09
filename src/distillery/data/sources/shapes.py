"""Drawn shapes: 1,200 training and 600 test images of ten classes, for transfer without downloads.

An image shows one shape of varying position, size, thickness, angle and contrast on a noisy ground.
Shapes are drawn at ``image_size`` (8) pixels, grey or, with ``channels: 3``, each in two colours.
They are not flipped unless asked for: a rising stroke would become a falling one.
"""

from __future__ import annotations

import hashlib
import itertools

import numpy as np

from distillery.core.randomness import generator
from distillery.data.files import RawFiles
from distillery.data.raw import RawData, RawPart, SourceFacts
from distillery.data.settings import Source

_PER_CLASS = {"train": 120, "test": 60}
SOURCES = {
    "shapes": SourceFacts(
        shape=(8, 1),
        num_classes=10,
        smallest_class=_PER_CLASS["train"],
        per_class=(_PER_CLASS["train"],) * 10,
        built_in=True,
        flips=False,
    )
}
# Coloured ink is warm, so that colour tells it from the ground as well as light does.
_TINT = {1: np.ones(1), 3: np.array([1.0, 0.6, 0.2])}

Points = tuple[tuple[float, float], ...]
_ROUND: Points = tuple(
    (float(np.cos(angle)), float(np.sin(angle))) for angle in np.linspace(0, 2 * np.pi, 17)
)
_STROKES: dict[str, tuple[Points, ...]] = {
    "ring": (_ROUND,),
    "square": (((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (-0.8, -0.8)),),
    "triangle": (((0.0, -0.9), (0.9, 0.7), (-0.9, 0.7), (0.0, -0.9)),),
    "plus": (((-1.0, 0.0), (1.0, 0.0)), ((0.0, -1.0), (0.0, 1.0))),
    "cross": (((-0.8, -0.8), (0.8, 0.8)), ((-0.8, 0.8), (0.8, -0.8))),
    "horizontal": (((-1.0, 0.0), (1.0, 0.0)),),
    "vertical": (((0.0, -1.0), (0.0, 1.0)),),
    "rising": (((-0.8, 0.8), (0.8, -0.8)),),
    "corner": (((-0.8, -0.8), (-0.8, 0.8), (0.8, 0.8)),),
    "arch": (((-0.8, 0.8), (-0.8, -0.8), (0.8, -0.8), (0.8, 0.8)),),
}
"""Class -> its strokes as lines of points (right, down) in units of the shape's size."""


def read(settings: Source, raw: RawFiles) -> RawData:
    """Draw both parts; no file is read."""
    side, channels = settings.image_size or 8, settings.channels or 1
    drawn = {part: _drawn_part(count, part, side, channels) for part, count in _PER_CLASS.items()}
    content = b"".join(images.tobytes() for images, _ in drawn.values())
    train, test = (RawPart(labels, images) for images, labels in drawn.values())
    return RawData(
        name="shapes",
        classes=tuple(_STROKES),
        channels=channels,
        train=train,
        test=test,
        origin={"drawn images": hashlib.sha256(content).hexdigest()},
    )


def _drawn_part(count: int, part: str, side: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a part with ``count`` images a class; classes take turns."""
    drawn = [
        _drawn(strokes, count, side, channels, generator(0, f"shapes {part}", label))
        for label, strokes in enumerate(_STROKES.values())
    ]
    images = np.stack(drawn, axis=1).reshape(-1, side, side, channels)
    return images, np.tile(np.arange(len(_STROKES)), count)


def _drawn(
    strokes: tuple[Points, ...], count: int, side: int, channels: int, random: np.random.Generator
) -> np.ndarray:
    """Return images of one shape, (count, side, side, channels) uint8.

    Lengths are in units of the image's side.
    """
    centre = random.uniform(0.36, 0.64, (count, 1, 1, 2))
    size = random.uniform(0.22, 0.4, (count, 1, 1, 1))
    angle = random.uniform(-0.25, 0.25, (count, 1, 1))
    thickness = random.uniform(0.09, 0.16, (count, 1, 1))
    ground = random.uniform(0.0, 0.35, (count, 1, 1, channels))
    ink = ground + random.uniform(0.35, 0.65, (count, 1, 1, channels)) * _TINT[channels]
    rows, columns = np.divmod(np.arange(side * side).reshape(side, side), side)
    pixels = (np.stack([columns, rows], axis=-1) + 0.5) / side
    along, down = np.moveaxis((pixels - centre) / size, 3, 0)
    turned = np.stack(
        [
            np.cos(angle) * along + np.sin(angle) * down,
            np.cos(angle) * down - np.sin(angle) * along,
        ],
        axis=-1,
    )
    away = size[..., 0] * _distance(turned, strokes)
    # A pixel is inked as far as the stroke covers it.
    covered = np.clip((thickness / 2 - away) * side + 0.5, 0, 1)[..., None]
    values = ground + covered * (ink - ground) + random.normal(0, 0.08, (count, side, side, 1))
    images: np.ndarray = np.rint(255 * np.clip(values, 0, 1))
    return images.astype(np.uint8)


def _distance(points: np.ndarray, strokes: tuple[Points, ...]) -> np.ndarray:
    """Return how far points (..., 2) are from the nearest line."""
    nearest = np.full(points.shape[:-1], np.inf)
    for stroke in strokes:
        for start, end in itertools.pairwise(np.array(stroke)):
            line = end - start
            share = np.clip((points - start) @ line / (line @ line), 0, 1)
            gap = points - start - share[..., None] * line
            np.minimum(nearest, np.sqrt((gap**2).sum(axis=-1)), out=nearest)
    return nearest
