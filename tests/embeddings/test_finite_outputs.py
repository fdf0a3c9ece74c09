"""No cache holds, and no student reads, outputs that are not finite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from distillery.core.errors import Diverged
from distillery.data.prepared import DataSetInfo, ImageSet
from distillery.data.settings import Augmentation
from distillery.embeddings import embed
from distillery.models.base import Classifier
from distillery.models.inference import predict
from distillery.models.registry import build

INFO = DataSetInfo(
    name="noise",
    classes=("a", "b", "c"),
    shape=(8, 8, 3),
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    counts={"train": 5, "test": 5},
    per_class={"train": (2, 2, 1), "test": (2, 2, 1)},
    shared=0,
    origin={},
)


def images() -> ImageSet:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (5, 8, 8, 3), generator=random).byte()
    return ImageSet(pixels, torch.arange(5) % 3, torch.arange(5))


def spoilt(change: Callable[[Classifier], object]) -> Classifier:
    torch.manual_seed(0)
    network = build("resnet8", num_classes=3).eval()
    change(network)
    return network


def embedded(network: Classifier, dtype: torch.dtype) -> None:
    augmentation = Augmentation(pad=1, flip=False)
    views = torch.zeros(5, dtype=torch.int64)
    embed.outputs(network, images(), INFO, augmentation, views, dtype)


def test_a_weight_that_is_not_finite_is_named() -> None:
    network = spoilt(lambda each: each.head.weight.data[1, 2].fill_(float("nan")))
    with pytest.raises(Diverged, match=r"the teacher: .* since weight 'fc.weight' holds NaN"):
        embedded(network, torch.float32)
    with pytest.raises(Diverged, match=r"resnet8: .* since weight 'fc.weight' holds NaN"):
        predict(network, images(), INFO, "resnet8")


def test_the_first_layer_that_overflows_is_named() -> None:
    network = spoilt(lambda each: each.get_parameter("layer2.0.conv1.weight").data.fill_(3e38))
    with pytest.raises(Diverged, match=r"the first such layer is 'layer2.0.conv1'"):
        predict(network, images(), INFO)


def test_what_half_precision_cannot_hold_is_said() -> None:
    network = spoilt(lambda each: each.head.weight.data.mul_(1e7))
    embedded(network, torch.float32)
    with pytest.raises(Diverged, match=r"exceed 65504.*set embeddings\.precision to single"):
        embedded(network, torch.float16)
