"""No cache holds, and no student reads, outputs that are not finite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from made_up_data import made_up_info, noise

from distillery.core.errors import Diverged
from distillery.data.settings import Augmentation
from distillery.embeddings import embed
from distillery.models.base import Classifier
from distillery.models.inference import predict
from distillery.models.registry import build

INFO = made_up_info(shape=(8, 8, 3), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
IMAGES = noise(5)


def spoilt(change: Callable[[Classifier], object]) -> Classifier:
    torch.manual_seed(0)
    network = build("resnet8", num_classes=3).eval()
    change(network)
    return network


def embedded(network: Classifier, dtype: torch.dtype) -> None:
    augmentation = Augmentation(pad=1, flip=False)
    views = torch.zeros(5, dtype=torch.int64)
    embed.outputs(network, IMAGES, INFO, augmentation, views, dtype)


def test_a_weight_that_is_not_finite_is_named() -> None:
    network = spoilt(lambda each: each.head.weight.data[1, 2].fill_(float("nan")))
    with pytest.raises(Diverged, match=r"the teacher: .* since weight 'fc.weight' holds NaN"):
        embedded(network, torch.float32)
    with pytest.raises(Diverged, match=r"resnet8: .* since weight 'fc.weight' holds NaN"):
        predict(network, IMAGES, INFO, "resnet8")


def test_the_first_layer_that_overflows_is_named() -> None:
    network = spoilt(lambda each: each.get_parameter("layer2.0.conv1.weight").data.fill_(3e38))
    with pytest.raises(Diverged, match=r"the first such layer is 'layer2.0.conv1'"):
        predict(network, IMAGES, INFO)


def test_what_half_precision_cannot_hold_is_said() -> None:
    network = spoilt(lambda each: each.head.weight.data.mul_(1e7))
    embedded(network, torch.float32)
    with pytest.raises(Diverged, match=r"exceed 65504.*set embeddings\.precision to single"):
        embedded(network, torch.float16)
