"""The shape of images: channels and sizes."""

import numpy as np
import pytest
from data_samples import pixels
from PIL import Image

from distillery.core.errors import UserError
from distillery.data.images import Resizing, resized, with_channels
from distillery.data.prepare import _Form
from distillery.data.raw import RawData, RawPart
from distillery.data.settings import Source

SIZES = [(12, 12, 6), (9, 31, 5), (31, 9, 8), (5, 5, 11), (5, 40, 7), (6, 6, 6)]


def whole(image: np.ndarray, side: int) -> np.ndarray:
    """Resize a grey or a colour image as Pillow does with all planes at once."""
    larger = min(image.shape[:2]) < side
    method = Image.Resampling.BILINEAR if larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(image.squeeze()).resize((side, side), method))


@pytest.mark.parametrize(("height", "width", "side"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_images_are_what_pillow_makes_of_them(
    height: int, width: int, side: int, channels: int
) -> None:
    image = pixels(height, height, width, channels)
    found = resized(image, Resizing(side))
    assert (found.shape, found.dtype) == ((side, side, channels), np.uint8)
    assert np.array_equal(found, whole(image, side).reshape(side, side, channels))


@pytest.mark.parametrize(("height", "width", "side"), SIZES)
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_each_of_other_channels_is_resized_by_itself(
    height: int, width: int, side: int, channels: int
) -> None:
    image = pixels(height, height, width, channels)
    # What Pillow takes for opacity must not weight the others.
    image[:, : width // 2, -1] = 0
    found = resized(image, Resizing(side))
    assert found.shape == (side, side, channels)
    for channel in range(channels):
        assert np.array_equal(found[..., channel], whole(image[..., channel], side))


def test_channels_are_repeated_or_summed_up() -> None:
    grey, colour = pixels(0, 4, 5, 1), pixels(0, 4, 5, 3)
    assert with_channels(grey, 1) is grey
    assert with_channels(colour, 3) is colour
    assert np.array_equal(with_channels(grey, 3), np.repeat(grey, 3, axis=2))
    luminance = np.asarray(Image.fromarray(colour).convert("L"))
    assert np.array_equal(with_channels(colour, 1), luminance[..., None])
    four = pixels(0, 4, 5, 4)
    assert with_channels(four, 4) is four


@pytest.mark.parametrize(("channels", "wanted"), [(4, 3), (4, 1), (1, 4), (3, 4), (2, 3), (3, 2)])
def test_there_is_no_way_between_other_channels(channels: int, wanted: int) -> None:
    message = f"an image of {channels} channels cannot be turned into one of {wanted}"
    with pytest.raises(ValueError, match=message):
        with_channels(pixels(0, 4, 5, channels), wanted)


@pytest.mark.parametrize(
    ("settings", "channels", "wanted"),
    [({"channels": 1}, 4, 1), ({"channels": 3}, 4, 3), ({"colour": "lab"}, 4, 3), ({}, 3, 4)],
)
def test_an_image_of_other_channels_is_named(
    settings: dict[str, str | int], channels: int, wanted: int
) -> None:
    images = pixels(0, 2, 6, 6, channels)
    part = RawPart(np.array([0, 1]), images, "thing {}".format)
    data = RawData("things", ("a", "b"), 4, part, part, {})
    form = _Form.of(data, Source(source="image-folder", path="x", **settings))
    with pytest.raises(UserError) as caught:
        form.applied(images[1], part.name(1))
    message = f"thing 1: an image of {channels} channels cannot be turned into one of {wanted}"
    assert str(caught.value) == message
