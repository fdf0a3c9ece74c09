"""What is particular to single families."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from network_probes import CLASSES, new, pictures, seeded
from torch import nn

from distillery.core.errors import UserError
from distillery.models.registry import module_of
from distillery.models.spec import describe


def test_describe_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    # Of a size that no other test asks for, since descriptions are kept.
    describe("MobileNetV2", CLASSES, 3, 72)
    assert torch.equal(torch.get_rng_state(), before)


def test_vgg_pools_a_fourth_time_from_64_pixels() -> None:
    heights = [[s[1] for s in describe("vgg8", CLASSES, 3, n).feature_shapes] for n in (8, 32, 64)]
    assert heights == [[8, 4, 2, 1, 1], [32, 16, 8, 4, 4], [64, 32, 16, 8, 4]]


@pytest.mark.parametrize("arch", ["ShuffleV1", "ShuffleV2"])
def test_shufflenets_have_no_preactivation_norms(arch: str) -> None:
    with pytest.raises(UserError, match="cannot teach by OFD"):
        new(arch).preactivation_norms()


def test_mobilenet_features_are_linear() -> None:
    with torch.no_grad():
        outputs = new("MobileNetV2")(pictures(1, 3, 32), features=True, preactivations=True)
    assert all(f is p for f, p in zip(outputs.features, outputs.preactivations, strict=True))
    assert all(bool((f < 0).any()) for f in outputs.features[1:])


def test_shufflenetv2_preactivations_are_not_shuffled() -> None:
    with torch.no_grad():
        outputs = new("ShuffleV2")(pictures(1, 3, 32), features=True, preactivations=True)
    for feature, preactivation in list(zip(outputs.features, outputs.preactivations, strict=True))[
        1:
    ]:
        kept, new_half = preactivation.chunk(2, dim=1)
        assert bool((kept >= 0).all())
        assert bool((new_half < 0).any())
        assert torch.equal(F.channel_shuffle(preactivation.relu(), 2), feature)


def test_wrn_preactivations_run_the_next_norm_a_second_time() -> None:
    model = new("wrn_16_2").train()
    twice = model.preactivation_norms()
    with torch.no_grad():
        outputs = model(pictures(2, 3, 16), features=True, preactivations=True)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.num_batches_tracked == (2 if any(norm is n for n in twice) else 1)
    with torch.no_grad():
        for norm, before, after in zip(
            twice, outputs.features[1:], outputs.preactivations[1:], strict=True
        ):
            torch.testing.assert_close(norm(before), after)


@pytest.mark.parametrize(
    "arch", ["resnet8", "resnet8x4", "ResNet50", "wrn_16_1", "wrn_16_2", "vgg8", "MobileNetV2"]
)
def test_convolutions_are_drawn_by_fan_out(arch: str) -> None:
    model = seeded(arch, 0)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 1000:
            fan_out = layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1]
            assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15)
            assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize(
    ("arch", "std", "zero_bias"),
    [
        ("resnet8x4", 16**-1 / 3**0.5, False),
        ("ResNet50", 2048**-0.5 / 3**0.5, False),
        ("wrn_16_2", 128**-0.5 / 3**0.5, True),
        ("vgg8", 0.01, True),
        ("MobileNetV2", 0.01, True),
        ("ShuffleV1", 960**-0.5 / 3**0.5, False),
    ],
)
def test_heads_are_drawn_as_the_reference_does(arch: str, std: float, zero_bias: bool) -> None:
    head = seeded(arch, 0).head
    assert head.weight.std().item() == pytest.approx(std, rel=0.1)
    assert bool(head.bias.any()) is not zero_bias


def test_module_of_names_the_family() -> None:
    assert module_of("resnet110") == "distillery.models.resnet"
    assert module_of("vgg8") == "distillery.models.vgg"
