"""A finished network runs over images batch by batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_data import made_up_info, noise

from distillery.data.augmentation import normalise
from distillery.data.prepared import ImageSet
from distillery.models.inference import batch_size, in_batches, infer, normalised, predict
from distillery.models.registry import build

INFO = made_up_info(shape=(8, 8, 3), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
IMAGES = noise(11)


@pytest.mark.parametrize(("count", "sizes"), [(11, [4, 4, 3]), (8, [4, 4]), (3, [3])])
def test_batches_are_consecutive(count: int, sizes: list[int]) -> None:
    batches = in_batches(count, 4)
    assert [len(batch) for batch in batches] == sizes
    assert torch.cat(batches).tolist() == list(range(count))


def test_outputs_are_those_of_all_images_at_once() -> None:
    torch.manual_seed(0)
    network, data = build("resnet8", num_classes=3).eval(), IMAGES
    with torch.no_grad():
        whole = network(normalise(data.images, INFO.mean, INFO.std), features=True)
    found = list(infer(network, data, INFO, in_batches(11, 4), features=True))
    torch.testing.assert_close(torch.cat([out.logits for out in found]), whole.logits)
    deepest = torch.cat([out.features[-1] for out in found])
    torch.testing.assert_close(deepest, whole.features[-1])
    assert not any(out.logits.requires_grad for out in found)
    told = predict(network, data, INFO)
    np.testing.assert_allclose(told.embedding, whole.embedding.numpy(), rtol=1e-5, atol=1e-6)
    assert told.labels.tolist() == data.labels.tolist()


def test_pixels_are_prepared_knowing_their_rows() -> None:
    data, rows = IMAGES, (torch.tensor([7, 2]), torch.tensor([5]))

    def marked(rows: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        assert torch.equal(pixels, data.images[rows])
        return pixels + rows.byte()[:, None, None, None]

    found = list(normalised(data, INFO, rows, marked))
    for batch, pixels in zip(rows, found, strict=True):
        changed = data.images[batch] + batch.byte()[:, None, None, None]
        assert torch.equal(pixels, normalise(changed, INFO.mean, INFO.std))


def test_gradients_come_back_after_inference() -> None:
    network, data = build("resnet8", num_classes=3).eval(), IMAGES
    for _ in infer(network, data, INFO, in_batches(11, 4)):
        # Whoever uses the outputs is not in inference mode.
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def test_batches_are_smaller_where_images_are_larger() -> None:
    def batch(side: int, shown: int | None = None) -> int:
        pixels = torch.empty(2, side, side, 3, dtype=torch.uint8)
        return batch_size(ImageSet(pixels, torch.arange(2), torch.arange(2)), shown)

    assert [batch(side) for side in (8, 32, 64, 224)] == [1000, 128, 32, 8]
    assert batch(8, shown=32) == batch(32)
