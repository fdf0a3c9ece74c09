"""Networks of libraries and of one's own: found, adapted, refused where they cannot be taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from network_probes import OWN

from distillery.core.errors import UserError
from distillery.models import catalogue, contract, registry
from distillery.models.naming import short, source_of
from distillery.models.spec import describe


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "nets.py"


def made(arch: str) -> None:
    registry.require(arch)
    registry.build(arch, num_classes=7, image_size=20)


def broken(arch: str, **sizes: int) -> dict[str, str]:
    return {said: wrong for said, wrong in contract.check(arch, **sizes) if wrong is not None}


@pytest.mark.parametrize(
    ("arch", "channels", "size"),
    [
        pytest.param("torchvision/mobilenet_v3_small", 1, 8, marks=pytest.mark.slow),
        pytest.param("torchvision/swin_t", 3, 64, marks=pytest.mark.slow),
        ("torchvision/shufflenet_v2_x0_5", 3, 32),
    ],
)
def test_networks_of_torchvision_keep_the_contract(arch: str, channels: int, size: int) -> None:
    assert broken(arch, in_channels=channels, image_size=size) == {}
    spec = describe(arch, 7, channels, size)
    assert spec.supplies == {"logits", "embedding", "classifier", "features"}
    assert len(spec.feature_shapes) in (2, 5)


@pytest.mark.parametrize(
    ("arch", "channels", "size"),
    [
        ("timm/mobilenetv3_small_050", 1, 8),
        pytest.param("timm/vit_tiny_patch16_224", 3, 32, marks=pytest.mark.slow),
    ],
)
def test_networks_of_timm_keep_the_contract(arch: str, channels: int, size: int) -> None:
    pytest.importorskip("timm")
    assert broken(arch, in_channels=channels, image_size=size) == {}
    assert len(describe(arch, 7, channels, size).feature_shapes) in (4, 5)


def test_weights_of_a_library_have_its_names() -> None:
    from torchvision import models

    wrapped = registry.build("torchvision/resnet18", num_classes=7)
    published = models.resnet18(weights=None, num_classes=7)
    assert wrapped.published.state_dict().keys() == published.state_dict().keys()
    assert wrapped.published_head == "fc"
    wrapped.published.load_state_dict(published.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = published.eval()(images)
        torch.testing.assert_close(wrapped.eval()(images).logits, expected)


@pytest.mark.parametrize(
    ("arch", "why"),
    [
        (
            "torchvision/resnet81",
            r"unknown model 'torchvision/resnet81'; did you mean 'torchvision/",
        ),
        ("torchvision/squeezenet1_1", "no linear layer with 7 outputs ends it"),
        ("torchvision/vit_b_16", "not for images of 20 x 20 pixels"),
        ("nets.py:Untraceable", r"torch.fx cannot trace it .*subclass of distillery.models.base"),
        ("nets.py:Convolutional", "no linear layer with 7 outputs ends it"),
        ("nets.py:Options", "Options takes no num_classes and no in_channels"),
        ("nets.py:Failing", "RuntimeError: no luck"),
        ("nets.py:Nothing", r"no torch.nn.Module of this name \(allowed: Net, Whole, Untraceable"),
        ("nets.py:helper", "no torch.nn.Module of this name"),
        ("other.py:Net", "no file other.py in "),
        ("no.such.module:Net", "Python finds no module no.such.module"),
        ("resnet9", "unknown model 'resnet9'; did you mean"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_one_line(own: Path, arch: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as error:
        made(arch)
    assert "\n" not in str(error.value)


def test_timm_names_the_nearest_network_and_the_head_it_cannot_take() -> None:
    pytest.importorskip("timm")
    with pytest.raises(UserError, match="did you mean 'timm/resnet18'"):
        registry.require("timm/resnett18")
    with pytest.raises(UserError, match="it ends in a Conv2d, not in one linear layer"):
        registry.build("timm/resnetv2_18", num_classes=7)


@pytest.mark.parametrize("name", ["Net", "Whole"])
def test_an_own_network_keeps_the_contract(own: Path, name: str) -> None:
    arch = f"nets.py:{name}"
    assert broken(arch, image_size=8) == {}
    assert short(arch) == name


def test_an_own_network_has_stages_and_gives_logits_before_a_softmax(own: Path) -> None:
    spec = describe("nets.py:Net", 7, 3, 8)
    assert (spec.embedding_dim, spec.feature_shapes) == (6, ((4, 8, 8), (6, 4, 4)))
    network = registry.build("nets.py:Net", num_classes=7).eval()
    with torch.no_grad():
        logits = network(torch.randn(2, 3, 8, 8)).logits
    assert not torch.allclose(logits.exp().sum(1), torch.ones(2))


def test_the_contract_names_what_is_broken(own: Path) -> None:
    found = broken("nets.py:Unused", image_size=8)
    assert found == {"Gradients reach every parameter and are finite": "none reaches idle"}


def test_the_content_of_the_file_is_the_identity(own: Path) -> None:
    before = source_of("nets.py:Net")
    assert source_of("resnet8") is None
    own.write_text(OWN.replace("4, 6, 3", "4, 9, 3").replace("Linear(6", "Linear(9"))
    after = source_of("nets.py:Net")
    assert before != after
    assert describe("nets.py:Net", 7, 3, 8).embedding_dim == 9
    with pytest.raises(UserError, match="its code has changed since this run was planned"):
        registry.build("nets.py:Net", num_classes=7, source=before)


def test_all_sources_of_a_package_are_the_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ownpackage"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "nets.py").write_text(OWN)
    (folder / "other.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = source_of("ownpackage.nets:Net")
    assert registry.build("ownpackage.nets:Net", num_classes=7, source=before).embedding_dim == 6
    (folder / "other.py").write_text("A = 22\n")
    assert source_of("ownpackage.nets:Net") != before


def test_architectures_are_listed_with_their_cost() -> None:
    images = catalogue.Images(classes=10, channels=3, size=32)
    (name,) = catalogue.matching(["resnet2?"])
    entry = catalogue.entry(name, images)
    # Two FLOPs a multiplication: 40.6 million of these (He et al., 2016, count 41).
    assert entry.flops == pytest.approx(81e6, rel=0.03)
    assert entry.parameters == describe(name, 10, 3, 32).parameters
    text = catalogue.text([entry, "model 'x' cannot"], images)
    assert "16x32x32" in text
    assert text.splitlines()[2] == "model 'x' cannot"
    assert "torchvision/resnet18" in catalogue.matching(["torchvision/resnet*"])
    assert catalogue.matching([]) == registry.names()
    with pytest.raises(UserError, match="no model matches 'torchvision/none"):
        catalogue.matching(["torchvision/none*"])
