"""What must hold for every architecture, at sizes and channels that the references do not take."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from distillery.core.errors import UserError
from distillery.models.base import Classifier, describe
from distillery.models.registry import build, module_of, names

ALL = names()
ONE_OF_EACH_FAMILY = [
    "resnet8",
    "resnet8x4",
    "ResNet50",
    "wrn_16_1",
    "wrn_16_2",
    "vgg8",
    "MobileNetV2",
    "ShuffleV1",
    "ShuffleV2",
]
CLASSES = 7


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("arch", ALL)
def test_runs_at_every_size_as_described(arch: str, channels: int) -> None:
    model = new(arch, channels)
    for size in (8, 28, 32, 64):
        with torch.no_grad():
            outputs = model(pictures(1, channels, size), features=True, preactivations=True)
        spec = describe(arch, CLASSES, channels, size)
        assert outputs.logits.shape == (1, CLASSES)
        assert outputs.embedding.shape == (1, spec.embedding_dim)
        assert tuple(tuple(m.shape[1:]) for m in outputs.features) == spec.feature_shapes
        assert tuple(tuple(m.shape[1:]) for m in outputs.preactivations) == spec.feature_shapes
        assert all(bool(t.isfinite().all()) for t in flat(outputs))


@pytest.mark.parametrize("arch", ALL)
def test_describe_counts_what_is_built(arch: str) -> None:
    model = new(arch)
    spec = describe(arch, CLASSES, 3, 32)
    assert (spec.arch, spec.num_classes, spec.in_channels, spec.image_size) == (arch, 7, 3, 32)
    assert spec.parameters == sum(p.numel() for p in model.parameters())
    assert spec.embedding_dim == model.embedding_dim == model.head.in_features
    assert model.head.out_features == CLASSES


def test_describe_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    describe.cache_clear()
    describe("MobileNetV2", CLASSES, 3, 32)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("arch", ONE_OF_EACH_FAMILY)
def test_no_map_shrinks_below_one_pixel(arch: str) -> None:
    shapes = describe(arch, CLASSES, 1, 2).feature_shapes
    assert all(height == width >= 1 for _, height, width in shapes)


def test_vgg_pools_a_fourth_time_from_64_pixels() -> None:
    heights = [[s[1] for s in describe("vgg8", CLASSES, 3, n).feature_shapes] for n in (8, 32, 64)]
    assert heights == [[8, 4, 2, 1, 1], [32, 16, 8, 4, 4], [64, 32, 16, 8, 4]]


@pytest.mark.parametrize("arch", ONE_OF_EACH_FAMILY)
def test_state_dict_round_trip(arch: str) -> None:
    torch.manual_seed(1)
    source, target = new(arch), new(arch)
    target.load_state_dict(source.state_dict(), strict=True)
    images = pictures(2, 3, 16)
    with torch.no_grad():
        assert torch.equal(source(images).logits, target(images).logits)


@pytest.mark.parametrize("arch", ONE_OF_EACH_FAMILY)
def test_same_seed_gives_the_same_weights(arch: str) -> None:
    first, second = (build_seeded(arch, 5).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("arch", ONE_OF_EACH_FAMILY)
def test_channels_last_gives_the_same_result(arch: str) -> None:
    model = new(arch).double()
    images = pictures(2, 3, 20).double()
    with torch.no_grad():
        expected = model(images, features=True, preactivations=True)
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
        found = model(images, features=True, preactivations=True)
    for left, right in zip(flat(found), flat(expected), strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("arch", ONE_OF_EACH_FAMILY)
def test_maps_are_returned_only_when_asked_for(arch: str) -> None:
    model = new(arch)
    images = pictures(1, 3, 16)
    count = len(describe(arch, CLASSES, 3, 16).feature_shapes)
    for features in (False, True):
        for preactivations in (False, True):
            with torch.no_grad():
                outputs = model(images, features=features, preactivations=preactivations)
            assert len(outputs.features) == count * features
            assert len(outputs.preactivations) == count * preactivations


@pytest.mark.parametrize("arch", ONE_OF_EACH_FAMILY)
def test_gradients_flow_from_every_output_to_every_parameter(arch: str) -> None:
    model = new(arch).train()
    outputs = model(pictures(2, 3, 16), features=True, preactivations=True)
    sum(t.square().mean() for t in flat(outputs)).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize("arch", ONE_OF_EACH_FAMILY)
def test_head_maps_the_embedding_to_the_logits(arch: str) -> None:
    model = new(arch)
    with torch.no_grad():
        outputs = model(pictures(2, 3, 16))
        torch.testing.assert_close(model.head(outputs.embedding), outputs.logits)


@pytest.mark.parametrize("arch", [arch for arch in ALL if not arch.startswith("Shuffle")])
def test_preactivation_norms_match_the_preactivations(arch: str) -> None:
    with torch.device("meta"):
        norms = build(arch, num_classes=CLASSES).preactivation_norms()
    channels = [shape[0] for shape in describe(arch, CLASSES, 3, 32).feature_shapes]
    assert all(isinstance(norm, nn.BatchNorm2d) for norm in norms)
    assert [norm.num_features for norm in norms] == channels[1:]


@pytest.mark.parametrize("arch", ["ShuffleV1", "ShuffleV2"])
def test_shufflenets_have_no_preactivation_norms(arch: str) -> None:
    with pytest.raises(UserError, match="cannot teach by OFD"):
        new(arch).preactivation_norms()


@pytest.mark.parametrize("arch", ["resnet8", "ResNet50", "vgg8", "ShuffleV1"])
def test_a_rectified_preactivation_is_the_feature(arch: str) -> None:
    with torch.no_grad():
        outputs = new(arch)(pictures(1, 3, 16), features=True, preactivations=True)
    for feature, preactivation in zip(outputs.features, outputs.preactivations, strict=True):
        assert torch.equal(preactivation.relu(), feature)
    assert any(bool((p < 0).any()) for p in outputs.preactivations)


def test_mobilenet_features_are_linear() -> None:
    with torch.no_grad():
        outputs = new("MobileNetV2")(pictures(1, 3, 32), features=True, preactivations=True)
    assert all(f is p for f, p in zip(outputs.features, outputs.preactivations, strict=True))
    assert all(bool((f < 0).any()) for f in outputs.features[1:])


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


@pytest.mark.parametrize("arch", ONE_OF_EACH_FAMILY[:-2])
def test_convolutions_are_drawn_by_fan_out(arch: str) -> None:
    model = build_seeded(arch, 0)
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
    head = build_seeded(arch, 0).head
    assert head.weight.std().item() == pytest.approx(std, rel=0.1)
    assert bool(head.bias.any()) is not zero_bias


def test_module_of_names_the_family() -> None:
    assert module_of("resnet110") == "distillery.models.resnet"
    assert module_of("vgg8") == "distillery.models.vgg"


def build_seeded(arch: str, seed: int) -> Classifier:
    torch.manual_seed(seed)
    return build(arch, num_classes=CLASSES)


def new(arch: str, channels: int = 3) -> Classifier:
    return build(arch, num_classes=CLASSES, in_channels=channels).eval()


def pictures(batch: int, channels: int, size: int) -> Tensor:
    return torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(3))


def flat(outputs: tuple) -> list[Tensor]:
    logits, embedding, *maps = outputs
    return [logits, embedding, *(each for group in maps for each in group)]
