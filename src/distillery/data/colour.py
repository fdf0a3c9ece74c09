"""Colour images in the CIE 1976 L*a*b* space, which tells lightness from colour.

Pixels are taken for sRGB (IEC 61966-2-1) under the illuminant D65 for the standard observer of 2
degrees. Of the three channels the first is luminance alone, the other two are chrominance alone.
"""

from __future__ import annotations

import numpy as np

# XYZ of linear sRGB, as IEC 61966-2-1 gives it: a row for each of X, Y and Z.
_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
)
# That of white pixels, so that grey ones have no colour at all.
_WHITE = _TO_XYZ.sum(axis=1)
# Where the cube root of CIE Lab gives way to a line.
_BEND = 6 / 29
_OFFSET = np.array([0.0, 128.0, 128.0])
_SCALE = np.array([255 / 100, 1.0, 1.0])


def stored_lab(image: np.ndarray) -> np.ndarray:
    """Return an image in Lab with 8 bits a channel, as data sets store it.

    Luminance, 0 to 100, is stretched to 0 to 255; chrominance is shifted by 128. Colours of sRGB
    have a* from -87 to 99 and b* from -108 to 95, so that none is cut off.

    Args:
        image: (..., 3) uint8, red, green and blue.

    Returns:
        (..., 3) uint8, L*, a* and b*.
    """
    stored: np.ndarray = np.rint(lab(image) * _SCALE + _OFFSET)
    return stored.astype(np.uint8)


def lab(image: np.ndarray) -> np.ndarray:
    """Return L* (0 to 100), a* and b* of an image.

    Args:
        image: (..., 3) uint8, red, green and blue.

    Returns:
        (..., 3) float64.
    """
    x, y, z = np.moveaxis(_response(_LINEAR[image] @ (_TO_XYZ.T / _WHITE)), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _response(ratio: np.ndarray) -> np.ndarray:
    """Return the cube root of a ratio to white, and a line near zero."""
    return np.where(ratio > _BEND**3, np.cbrt(ratio), ratio / (3 * _BEND**2) + 4 / 29)


def _linear() -> np.ndarray:
    """Return the light (256,), 0 to 1, that each value of a pixel's channel stands for."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


_LINEAR = _linear()
