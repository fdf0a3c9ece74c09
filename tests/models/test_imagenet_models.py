"""ImageNet families against torchvision's networks and published sizes."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor

from distillery.models.registry import build
from distillery.models.spec import describe

RESNETS = ["resnet18", "resnet34", "resnet50"]
PARAMETERS = {
    "imagenet_resnet18": 11_689_512,
    "imagenet_resnet34": 21_797_672,
    "imagenet_resnet50": 25_557_032,
    "mobilenetv1": 4_231_976,
}


def images(size: int = 64, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("arch", PARAMETERS)
def test_number_of_parameters(arch: str) -> None:
    assert describe(arch, 1000, 3, 224).parameters == PARAMETERS[arch]


@pytest.mark.parametrize("name", RESNETS)
def test_torchvisions_weights_load_and_give_its_logits(name: str) -> None:
    torch.manual_seed(1)
    expected = torchvision.models.get_model(name, num_classes=5).eval()
    for module in expected.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    found = build(f"imagenet_{name}", num_classes=5).eval()
    assert list(found.state_dict()) == list(expected.state_dict())
    found.load_state_dict(expected.state_dict(), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(found(images()).logits, expected(images()))


@pytest.mark.parametrize("name", RESNETS)
def test_weights_are_drawn_as_torchvision_draws_them(name: str) -> None:
    torch.manual_seed(3)
    expected = torchvision.models.get_model(name, num_classes=5).state_dict()
    torch.manual_seed(3)
    found = build(f"imagenet_{name}", num_classes=5).state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    ("arch", "channels", "blocks"),
    [
        ("imagenet_resnet18", (64, 64, 128, 256, 512), 8),
        ("imagenet_resnet34", (64, 64, 128, 256, 512), 16),
        ("imagenet_resnet50", (64, 256, 512, 1024, 2048), 16),
        ("mobilenetv1", (32, 128, 256, 512, 1024), 13),
    ],
)
def test_maps_at_the_size_of_imagenet(arch: str, channels: tuple[int, ...], blocks: int) -> None:
    spec = describe(arch, 1000, 3, 224)
    stem = 112 if arch == "mobilenetv1" else 56
    sides = (stem, 56, 28, 14, 7)
    assert spec.feature_shapes == tuple(
        (width, side, side) for width, side in zip(channels, sides, strict=True)
    )
    assert spec.embedding_dim == channels[-1]
    assert len(spec.block_shapes) == blocks
    assert spec.block_shapes[-1] == spec.feature_shapes[-1]


@pytest.mark.parametrize("arch", PARAMETERS)
def test_a_rectified_preactivation_is_the_feature_and_the_last_block(arch: str) -> None:
    network = build(arch, num_classes=5).eval()
    with torch.no_grad():
        outputs = network(images(), features=True, preactivations=True, blocks=True)
    for feature, preactivation in zip(outputs.features, outputs.preactivations, strict=True):
        assert torch.equal(preactivation.relu(), feature)
    assert outputs.features[0] is outputs.preactivations[0]
    assert all(bool((each < 0).any()) for each in outputs.preactivations[1:])
    last = {id(block) for block in outputs.blocks}
    assert all(id(feature) in last for feature in outputs.features[1:])


@pytest.mark.parametrize("arch", PARAMETERS)
def test_grey_images(arch: str) -> None:
    network = build(arch, num_classes=5, in_channels=1).eval()
    with torch.no_grad():
        assert network(images(channels=1)).logits.shape == (2, 5)


def test_mobilenetv1_equals_a_plain_loop_over_its_table() -> None:
    torch.manual_seed(2)
    network = build("mobilenetv1", num_classes=5).eval()
    weights = network.state_dict()
    x = torch.nn.functional.conv2d(images(), weights["model.0.0.weight"], stride=2, padding=1)
    x = _norm(x, weights, "model.0.1").relu()
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    for number, stride in enumerate(strides, start=1):
        depthwise, pointwise = (weights[f"model.{number}.{part}.weight"] for part in (0, 3))
        each = [
            torch.nn.functional.conv2d(x[:, [c]], depthwise[[c]], stride=stride, padding=1)
            for c in range(x.shape[1])
        ]
        x = _norm(torch.cat(each, dim=1), weights, f"model.{number}.1").relu()
        x = torch.einsum("bihw,oi->bohw", x, pointwise[:, :, 0, 0])
        x = _norm(x, weights, f"model.{number}.4").relu()
    logits = x.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"]
    with torch.no_grad():
        torch.testing.assert_close(network(images()).logits, logits)


def _norm(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    mean, var, weight, bias = (
        weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    scaled = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
    return scaled * weight[:, None, None] + bias[:, None, None]
