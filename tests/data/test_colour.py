"""Lab against published values of primaries and against the formula, one pixel at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.data.colour import lab, stored_lab

BYTES = st.integers(0, 255)


def formula(red: int, green: int, blue: int) -> tuple[float, float, float]:
    """Return L*, a*, b* of one sRGB pixel under D65, spelled out."""

    def linear(byte: int) -> float:
        value = byte / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    def response(ratio: float) -> float:
        return ratio ** (1 / 3) if ratio > (6 / 29) ** 3 else (841 / 108) * ratio + 4 / 29

    r, g, b = linear(red), linear(green), linear(blue)
    x = response((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505)
    y = response(0.2126 * r + 0.7152 * g + 0.0722 * b)
    z = response((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((255, 255, 0), (97.14, -21.55, 94.48)),
        ((0, 255, 255), (91.11, -48.09, -14.13)),
        ((255, 0, 255), (60.32, 98.23, -60.82)),
    ],
)
def test_the_corners_of_srgb_lie_where_tables_have_them(
    pixel: tuple[int, int, int], expected: tuple[float, float, float]
) -> None:
    # Tables take more digits of the matrix than the standard has.
    assert lab(np.array(pixel, dtype=np.uint8)) == pytest.approx(expected, abs=0.05)


@given(BYTES, BYTES, BYTES)
def test_every_pixel_follows_the_formula(red: int, green: int, blue: int) -> None:
    found = lab(np.array([red, green, blue], dtype=np.uint8))
    assert found == pytest.approx(formula(red, green, blue), abs=1e-9)


def test_grey_has_no_colour_and_rises_with_its_value() -> None:
    pixels = lab(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))
    assert np.abs(pixels[:, 1:]).max() < 1e-9
    assert (np.diff(pixels[:, 0]) > 0).all()


def test_no_colour_is_cut_off_when_stored() -> None:
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1)
    exact, stored = lab(cube), stored_lab(cube).astype(float)
    assert stored.shape == cube.shape
    assert np.abs(stored[..., 0] * 100 / 255 - exact[..., 0]).max() <= 50 / 255 + 1e-9
    assert np.abs(stored[..., 1:] - 128 - exact[..., 1:]).max() <= 0.5 + 1e-9
    assert (exact[..., 1].min(), exact[..., 1].max()) == pytest.approx((-86.2, 98.2), abs=0.1)
    assert (exact[..., 2].min(), exact[..., 2].max()) == pytest.approx((-107.9, 94.5), abs=0.1)


def test_an_image_is_stored_as_bytes_pixel_by_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    stored = stored_lab(image)
    assert stored.dtype == np.uint8
    for row in range(5):
        for column in range(7):
            lightness, a, b = formula(*image[row, column].tolist())
            expected = [round(lightness * 2.55), round(a) + 128, round(b) + 128]
            assert stored[row, column].tolist() == expected
