"""What must hold for every registered architecture, at sizes and channels of all data sets."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from network_probes import CLASSES, flat, new, pictures, seeded, shapes
from torch import nn

from distillery.core.errors import UserError
from distillery.models.base import Classifier
from distillery.models.registry import build, module_of, names
from distillery.models.spec import describe

ALL = names()
# One small network stands for its family where a pass of each would take long.
FAMILIES = sorted({next(iter(import_module(module_of(arch)).ARCHITECTURES)) for arch in ALL})
# Families whose maps before and after ReLU are related in another way; their modules say how.
NOT_RECTIFIED = {"mobilenetv2", "shufflenetv2", "wrn"}
SIZES = (8, 32, 64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("arch", ALL)
def test_outputs_are_as_described_without_weights(arch: str, channels: int) -> None:
    model = new(arch, channels)
    for size in SIZES:
        with torch.no_grad():
            outputs = model(
                pictures(1, channels, size), features=True, preactivations=True, blocks=True
            )
        spec = describe(arch, CLASSES, channels, size)
        assert outputs.logits.shape == (1, CLASSES)
        assert outputs.embedding.shape == (1, spec.embedding_dim)
        assert shapes(outputs.features) == shapes(outputs.preactivations) == spec.feature_shapes
        assert shapes(outputs.blocks) == spec.block_shapes
        assert all(bool(each.isfinite().all()) for each in flat(outputs))
        assert (spec.arch, spec.num_classes) == (arch, CLASSES)
        assert (spec.in_channels, spec.image_size) == (channels, size)
        assert spec.parameters == sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize("arch", ALL)
def test_the_head_maps_the_embedding_to_the_logits(arch: str) -> None:
    model = new(arch)
    with torch.no_grad():
        outputs = model(pictures(2, 3, 8))
        torch.testing.assert_close(model.head(outputs.embedding), outputs.logits)
    assert model.embedding_dim == model.head.in_features == outputs.embedding.shape[1]
    assert model.head.out_features == CLASSES


@pytest.mark.parametrize("arch", ALL)
def test_state_dict_round_trip(arch: str) -> None:
    torch.manual_seed(1)
    source, target = new(arch), new(arch)
    images = pictures(2, 3, 8)
    with torch.no_grad():
        before = target(images).logits
        target.load_state_dict(source.state_dict(), strict=True)
        assert torch.equal(source(images).logits, target(images).logits)
    assert not torch.equal(before, target(images).logits)


@pytest.mark.parametrize("arch", ALL)
def test_gradients_reach_every_parameter_from_the_logits(arch: str) -> None:
    model = new(arch).train()
    model(pictures(2, 3, 32)).logits.square().mean().backward()
    missed = [name for name, each in model.named_parameters() if each.grad is None]
    assert not missed
    assert all(bool(each.grad.isfinite().all()) for each in model.parameters())


@pytest.mark.parametrize("arch", FAMILIES)
def test_every_output_has_a_gradient(arch: str) -> None:
    outputs = new(arch).train()(pictures(2, 3, 16), features=True, preactivations=True, blocks=True)
    # The stem of some families is recorded as it is, so that all it needs is to require one.
    assert all(each.requires_grad for each in flat(outputs))


@pytest.mark.parametrize(
    "arch", [arch for arch in ALL if module_of(arch).rpartition(".")[2] not in NOT_RECTIFIED]
)
def test_a_rectified_preactivation_is_the_feature(arch: str) -> None:
    with torch.no_grad():
        outputs = new(arch)(pictures(1, 3, 32), features=True, preactivations=True)
    for feature, preactivation in zip(outputs.features, outputs.preactivations, strict=True):
        assert torch.equal(preactivation.relu(), feature)
    assert torch.equal(outputs.features[0], outputs.preactivations[0])
    assert any(bool((each < 0).any()) for each in outputs.preactivations[1:])


@pytest.mark.parametrize("arch", ALL)
def test_preactivation_norms_fit_the_maps_or_are_refused(arch: str) -> None:
    with torch.device("meta"):
        model = build(arch, num_classes=CLASSES)
    if type(model).preactivation_norms is Classifier.preactivation_norms:
        with pytest.raises(UserError, match="cannot teach by OFD"):
            model.preactivation_norms()
        return
    norms = model.preactivation_norms()
    widths = [shape[0] for shape in describe(arch, CLASSES, 3, 32).feature_shapes]
    assert all(isinstance(norm, nn.BatchNorm2d) for norm in norms)
    assert [norm.num_features for norm in norms] == widths[1:]


@pytest.mark.parametrize("arch", FAMILIES)
def test_no_map_shrinks_below_one_pixel(arch: str) -> None:
    spec = describe(arch, CLASSES, 1, 2)
    maps = (*spec.feature_shapes, *spec.block_shapes)
    assert all(height == width >= 1 for _, height, width in maps)


@pytest.mark.parametrize("arch", FAMILIES)
def test_same_seed_gives_the_same_weights(arch: str) -> None:
    first, second = (seeded(arch, 5).state_dict() for _ in range(2))
    other = seeded(arch, 6).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("arch", FAMILIES)
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


@pytest.mark.parametrize("arch", FAMILIES)
def test_maps_are_returned_only_when_asked_for(arch: str) -> None:
    model, images = new(arch), pictures(1, 3, 16)
    spec = describe(arch, CLASSES, 3, 16)
    stages, blocks = len(spec.feature_shapes), len(spec.block_shapes)
    for wanted in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)):
        options = dict(
            zip(("features", "preactivations", "blocks"), map(bool, wanted), strict=True)
        )
        with torch.no_grad():
            outputs = model(images, **options)
        found = tuple(map(len, (outputs.features, outputs.preactivations, outputs.blocks)))
        assert found == (wanted[0] * stages, wanted[1] * stages, wanted[2] * blocks)


@pytest.mark.parametrize("arch", FAMILIES)
def test_a_block_hook_keeps_what_it_returns_instead_of_blocks(arch: str) -> None:
    model, images = new(arch), pictures(2, 3, 16)
    with torch.no_grad():
        whole = model(images, blocks=True).blocks
        means = model(images, blocks=lambda block: (block.mean((2, 3)),)).blocks
    assert len(whole) == len(means)
    assert all(
        torch.equal(each.mean((2, 3)), mean) for each, mean in zip(whole, means, strict=True)
    )
