from __future__ import annotations

import torch

from distillery.models import registry
from distillery.models.outline import outline
from distillery.models.spec import describe


def test_an_outline_has_the_layers_of_the_network_and_draws_no_numbers() -> None:
    for arch in ("resnet8", "wrn_16_1", "vgg8", "ShuffleV2"):
        state = torch.random.get_rng_state()
        outlined = outline(arch, num_classes=7)
        describe(arch, num_classes=7, in_channels=3, image_size=32)
        assert torch.equal(torch.random.get_rng_state(), state)
        built = registry.build(arch, num_classes=7)
        found, expected = (network.state_dict() for network in (outlined, built))
        assert {name: value.shape for name, value in found.items()} == {
            name: value.shape for name, value in expected.items()
        }
