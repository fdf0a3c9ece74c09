"""Random boxes against torchvision's RandomResizedCrop and its resizing."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2

from distillery.data.augmentation import apply_views, crop_parameters
from distillery.data.boxes import Boxes, draw, resize_boxes
from distillery.data.settings import Augmentation

BOXES = Augmentation(kind="random-resized-crop", flip=True)


def batch(count: int, height: int = 24, width: int = 24, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    shape = (count, height, width, channels)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def by_torchvision(image: torch.Tensor, box: tuple[int, ...], flip: bool, side: int):
    pixels = image.permute(2, 0, 1).double()
    resized = F.resized_crop(pixels, *box, size=[side, side], antialias=True)
    return (F.horizontal_flip(resized) if flip else resized).permute(1, 2, 0)


def corners(boxes: Boxes) -> list[tuple[int, ...]]:
    columns = (boxes.top, boxes.left, boxes.height, boxes.width)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(
    height=st.integers(2, 30),
    width=st.integers(2, 30),
    side=st.integers(4, 40),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**40),
)
def test_pixels_are_those_of_torchvision_to_one_level(
    height: int, width: int, side: int, channels: int, seed: int
) -> None:
    images = batch(5, height, width, channels)
    boxes = draw(seed + torch.arange(5), BOXES, (height, width))
    found = resize_boxes(images, boxes, side)
    assert found.shape == (5, side, side, channels)
    assert found.dtype == torch.uint8
    for image, box, flip, one in zip(images, corners(boxes), boxes.flip, found, strict=True):
        # Both passes round, to half a level each.
        assert (by_torchvision(image, box, bool(flip), side) - one).abs().max() <= 1.1


def test_the_whole_image_at_its_own_size_is_the_image() -> None:
    images, zero = batch(3), torch.zeros(3, dtype=torch.int64)
    flip = torch.tensor([False, True, False])
    found = resize_boxes(images, Boxes(zero, zero, zero + 24, zero + 24, flip), 24)
    assert torch.equal(found[::2], images[::2])
    assert torch.equal(found[1], images[1].flip(1))


def test_pixels_do_not_depend_on_the_batch() -> None:
    images, views = batch(40, 33, 33), 7 * torch.arange(40)
    whole = apply_views(images, crop_parameters(views, BOXES, (33, 33)), BOXES)
    for number in range(0, 40, 13):
        rows = torch.arange(number, min(number + 3, 40))
        alone = apply_views(images[rows], crop_parameters(views[rows], BOXES, (33, 33)), BOXES)
        assert torch.equal(alone, whole[rows])


@given(
    view=st.integers(0, 2**48 - 1),
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    scale=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted),
    ratio=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)).map(sorted),
)
def test_boxes_lie_within_the_image(
    view: int, height: int, width: int, scale: list[float], ratio: list[float]
) -> None:
    augmentation = Augmentation(kind="random-resized-crop", scale=scale, ratio=ratio)
    ((top, left, tall, wide),) = corners(draw(torch.tensor([view]), augmentation, (height, width)))
    assert min(top, left) >= 0
    assert top + tall <= height
    assert left + wide <= width
    assert min(tall, wide) >= 1


def test_boxes_are_distributed_as_torchvisions() -> None:
    count, side = 4000, 64
    torch.manual_seed(0)
    pixels, transform = torch.empty(1, side, side), v2.RandomResizedCrop(side)
    drawn = [transform.make_params([pixels]) for _ in range(count)]
    boxes = draw(torch.arange(count), BOXES, (side, side))
    for name in ("top", "left", "height", "width"):
        found = np.sort(getattr(boxes, name).numpy())
        reference = np.sort([params[name] for params in drawn])
        grid = np.arange(side + 1)
        gap = np.searchsorted(found, grid, "right") - np.searchsorted(reference, grid, "right")
        # Kolmogorov and Smirnov's bound at 0.1 percent.
        assert np.abs(gap).max() / count < 1.95 * np.sqrt(2 / count)
    assert 0.45 < boxes.flip.float().mean() < 0.55


def test_a_view_is_a_function_of_its_number_alone() -> None:
    views = torch.tensor([5, 2**47, 5, 9])
    boxes = corners(draw(views, BOXES, (50, 50)))
    assert boxes[0] == boxes[2]
    assert len(set(boxes)) == 3
    assert boxes[3] == corners(draw(views[3:], BOXES, (50, 50)))[0]


def test_many_views_are_drawn_as_few_are() -> None:
    views = torch.arange(70_000)
    many, few = draw(views, BOXES, (50, 60)), draw(views[-9:], BOXES, (50, 60))
    assert corners(many)[-9:] == corners(few)
    assert len(many.flip) == 70_000
    assert corners(draw(views[:0], BOXES, (50, 60))) == []


@pytest.mark.parametrize(
    ("shape", "ratio", "expected"),
    [
        ((10, 100), (0.75, 1.25), (0, 44, 10, 12)),
        ((100, 10), (0.75, 1.25), (43, 0, 13, 10)),
        ((10, 12), (1.0, 2.0), (0, 0, 10, 12)),
    ],
)
def test_the_central_box_when_no_attempt_fits(
    shape: tuple[int, int], ratio: tuple[float, float], expected: tuple[int, ...]
) -> None:
    # An area of the whole image never fits but in the image's own shape.
    augmentation = Augmentation(kind="random-resized-crop", scale=(1.0, 1.0), ratio=ratio)
    boxes = corners(draw(torch.arange(50), augmentation, shape))
    assert expected in boxes
    if shape != (10, 12):
        assert set(boxes) == {expected}


def test_the_size_of_the_result() -> None:
    smaller = Augmentation(kind="random-resized-crop", size=16)
    images = batch(4, 20, 20)
    parameters = crop_parameters(torch.arange(4), smaller, (20, 20))
    assert apply_views(images, parameters, smaller).shape == (4, 16, 16, 3)
    assert smaller.output_side(20) == 16
    assert BOXES.output_side(20) == 20


def test_no_flips_when_not_wanted() -> None:
    upright = BOXES.model_copy(update={"flip": False})
    assert not draw(torch.arange(200), upright, (30, 30)).flip.any()


@pytest.mark.gpu
def test_the_same_boxes_and_pixels_on_an_accelerator() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    images, views = batch(200, 64, 64), torch.arange(200)
    parameters = crop_parameters(views, BOXES, (64, 64))
    assert torch.equal(
        apply_views(images.cuda(), parameters, BOXES).cpu(), apply_views(images, parameters, BOXES)
    )
