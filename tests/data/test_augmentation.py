import pytest
import torch
import torchvision.transforms.functional as TF
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.data.augmentation import (
    CropFlip,
    augment,
    decode,
    encode,
    identity_view,
    normalise,
)
from distillery.data.settings import Augmentation

DEFAULT = Augmentation()


def batch(count: int, height: int = 32, width: int = 32, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    shape = (count, height, width, channels)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def by_torchvision(image: torch.Tensor, top: int, left: int, flip: bool, pad: int) -> torch.Tensor:
    """What RandomCrop(size, padding=pad) and RandomHorizontalFlip do to one (H, W, C) image."""
    height, width, _ = image.shape
    padded = TF.pad(image.permute(2, 0, 1), [pad])
    cropped = TF.crop(padded, top, left, height, width)
    return (TF.hflip(cropped) if flip else cropped).permute(1, 2, 0)


def expected(images: torch.Tensor, crop: CropFlip, pad: int) -> torch.Tensor:
    crops = zip(crop.top.tolist(), crop.left.tolist(), crop.flip.tolist(), strict=True)
    return torch.stack(
        [by_torchvision(image, *offset, pad) for image, offset in zip(images, crops, strict=True)]
    )


def test_every_view_shows_the_pixels_that_torchvision_shows() -> None:
    images = batch(DEFAULT.views)
    crop = decode(torch.arange(DEFAULT.views), DEFAULT)
    assert torch.equal(augment(images, crop, 4), expected(images, crop, 4))


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    pad=st.integers(0, 10),
    seed=st.integers(0, 1000),
)
def test_any_size_and_padding(height: int, width: int, channels: int, pad: int, seed: int) -> None:
    augmentation = Augmentation(pad=pad)
    generator = torch.Generator().manual_seed(seed)
    views = torch.randint(0, augmentation.views, (7,), generator=generator)
    images, crop = batch(7, height, width, channels), decode(views, augmentation)
    assert torch.equal(augment(images, crop, pad), expected(images, crop, pad))


def test_images_that_do_not_lie_in_one_piece() -> None:
    images = batch(10).flip(0)[::2].transpose(1, 2)
    crop = decode(torch.tensor([0, 161, 40, 80, 100]), DEFAULT)
    assert torch.equal(augment(images, crop, 4), expected(images, crop, 4))


@pytest.mark.parametrize("pad", [0, 1, 4, 32])
@pytest.mark.parametrize("flip", [False, True])
def test_views_and_crops_are_one_to_one(pad: int, flip: bool) -> None:
    augmentation = Augmentation(pad=pad, flip=flip)
    views = torch.arange(augmentation.views)
    crop = decode(views, augmentation)
    assert torch.equal(encode(crop, augmentation), views)
    crops = set(zip(crop.top.tolist(), crop.left.tolist(), crop.flip.tolist(), strict=True))
    assert len(crops) == augmentation.views
    assert {top for top, _, _ in crops} == {left for _, left, _ in crops} == set(range(2 * pad + 1))
    assert {flipped for _, _, flipped in crops} == ({False, True} if flip else {False})


def test_small_integers_of_a_cache_are_enough() -> None:
    crop = decode(torch.arange(162), DEFAULT)
    stored = CropFlip(crop.top.to(torch.int16), crop.left.to(torch.int16), crop.flip)
    assert torch.equal(encode(stored, DEFAULT), torch.arange(162))
    assert torch.equal(augment(batch(162), stored, 4), augment(batch(162), crop, 4))


@pytest.mark.parametrize("pad", [0, 4])
def test_identity(pad: int) -> None:
    augmentation, images = Augmentation(pad=pad), batch(3)
    view = identity_view(augmentation)
    crop = decode(torch.full((3,), view), augmentation)
    assert (crop.top == pad).all()
    assert (crop.left == pad).all()
    assert not crop.flip.any()
    assert torch.equal(augment(images, crop, pad), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_normalised_images(channels: int) -> None:
    images = batch(5, 6, 7, channels)
    mean, std = (0.5, 0.4, 0.3)[:channels], (0.2, 0.25, 0.3)[:channels]
    found = normalise(images, mean, std)
    wanted = TF.normalize(images.permute(0, 3, 1, 2) / 255, list(mean), list(std))
    assert found.shape == (5, channels, 6, 7)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6, check_stride=False)


def test_normalised_in_half_precision_is_rounded_once() -> None:
    images = batch(4)
    single, half = (normalise(images, [0.5] * 3, [0.2] * 3, t) for t in (torch.float32, torch.half))
    assert torch.equal(single.half(), half)


def test_constants_made_in_inference_mode_serve_training_too() -> None:
    images, mean, std = batch(2, 5, 5), [0.123] * 3, [0.321] * 3
    with torch.inference_mode():
        normalise(images, mean, std)
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (normalise(images, mean, std) * weight).sum().backward()
    assert weight.grad is not None


@pytest.mark.gpu
def test_the_same_pixels_on_an_accelerator() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    images, crop = batch(162), decode(torch.arange(162), DEFAULT)
    there = CropFlip(crop.top.cuda(), crop.left.cuda(), crop.flip.cuda())
    found = augment(images.cuda(), there, 4)
    assert torch.equal(found.cpu(), augment(images, crop, 4))
    normal = normalise(found, [0.5] * 3, [0.2] * 3)
    torch.testing.assert_close(normal.cpu(), normalise(found.cpu(), [0.5] * 3, [0.2] * 3))
