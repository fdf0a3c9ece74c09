"""What every architecture keeps to, own ones too: `distillery check-model`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from distillery.core.errors import UserError
from distillery.core.randomness import torch_generator
from distillery.models import registry
from distillery.models.base import Classifier, ModelSpec, Outputs
from distillery.models.finite import first_improper_weight
from distillery.models.spec import describe
from distillery.models.weights import save_network

_TOLERANCE = 1e-4


class Broken(Exception):
    """A point of the contract that a network does not keep."""


@dataclass(frozen=True)
class Checked:
    """A network with what it is checked on.

    Attributes:
        spec: its description, made without weights.
        network: the network, in evaluation mode.
        images: (B, C, H, W) noise.
    """

    spec: ModelSpec
    network: Classifier
    images: Tensor


def check(
    arch: str, *, num_classes: int = 7, in_channels: int = 3, image_size: int = 32
) -> Iterator[tuple[str, str | None]]:
    """Yield each point of the contract, and what is wrong with it: None if it is kept.

    Args:
        arch: its name.
        num_classes: number of logits.
        in_channels: channels of the images.
        image_size: height and width of the images.

    Raises:
        UserError: there is no such architecture, or it cannot be built or run at all.
    """
    registry.require(arch)
    spec = describe(arch, num_classes, in_channels, image_size)
    noise = torch_generator(0, "check-model")
    images = torch.randn(4, in_channels, image_size, image_size, generator=noise)
    checked = Checked(spec, _new(spec).eval(), images)
    for point in _POINTS:
        said = (point.__doc__ or "").partition(".")[0]
        try:
            point(checked)
        except Broken as error:
            yield said, str(error)
        # It is the user's code, which may fail in any way.
        except (RuntimeError, ValueError, TypeError, AttributeError, UserError) as error:
            yield said, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        else:
            yield said, None


def _outputs_have_the_described_shapes(of: Checked) -> None:
    """Outputs have the shapes that the plan knows of."""
    outputs, count = _all(of), len(of.images)
    _require_equal("logits", tuple(outputs.logits.shape), (count, of.spec.num_classes))
    _require_equal("embedding", tuple(outputs.embedding.shape), (count, of.spec.embedding_dim))
    found = tuple(tuple(each.shape[1:]) for each in outputs.features)
    _require_equal("stages", found, of.spec.feature_shapes)


def _outputs_are_finite(of: Checked) -> None:
    """Outputs and new weights are finite."""
    wrong = first_improper_weight(of.network)
    if wrong:
        raise Broken(wrong)
    outputs = _all(of)
    if not all(each.isfinite().all() for each in (outputs.logits, outputs.embedding)):
        raise Broken("logits or embedding are not")


def _the_head_maps_the_embedding(of: Checked) -> None:
    """The head maps the embedding to the logits."""
    outputs = _all(of)
    with torch.no_grad():
        _require_close("they differ", of.network.head(outputs.embedding), outputs.logits)


def _an_image_does_not_depend_on_others(of: Checked) -> None:
    """An image's outputs do not depend on the others of the batch."""
    with torch.no_grad():
        together, alone = of.network(of.images), of.network(of.images[:1])
    _require_close("they do in evaluation mode", alone.logits, together.logits[:1])


def _the_same_seed_gives_the_same_weights(of: Checked) -> None:
    """The same seed gives the same weights."""
    one, two = _new(of.spec).state_dict(), _new(of.spec).state_dict()
    other = next((name for name in one if not torch.equal(one[name], two[name])), None)
    if other:
        raise Broken(f"'{other}' differs: draw it from torch's global generator")


def _weights_survive_being_stored(of: Checked) -> None:
    """Weights survive being stored."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_network(of.network, path, ["class"] * of.spec.num_classes)
        again = _new(of.spec).eval()
        again.load_state_dict(load_file(path))
    with torch.no_grad():
        _require_close("they do not", again(of.images).logits, of.network(of.images).logits)


def _every_parameter_is_trained(of: Checked) -> None:
    """Gradients reach every parameter and are finite."""
    network = _new(of.spec).train()
    network(of.images).logits.square().mean().backward()
    missed = [name for name, each in network.named_parameters() if each.grad is None]
    if missed:
        raise Broken(f"none reaches {', '.join(missed[:3])}")
    for name, each in network.named_parameters():
        if each.grad is not None and not each.grad.isfinite().all():
            raise Broken(f"that of '{name}' is not")


def _training_is_repeatable(of: Checked) -> None:
    """A step of training gives the same once more."""

    def step() -> Tensor:
        network = _new(of.spec).train()
        torch.manual_seed(1)
        logits: Tensor = network(of.images).logits
        return logits.detach()

    if not torch.equal(step(), step()):
        raise Broken("draw from torch's global generator alone")


_POINTS: tuple[Callable[[Checked], None], ...] = (
    _outputs_have_the_described_shapes,
    _outputs_are_finite,
    _the_head_maps_the_embedding,
    _an_image_does_not_depend_on_others,
    _the_same_seed_gives_the_same_weights,
    _weights_survive_being_stored,
    _every_parameter_is_trained,
    _training_is_repeatable,
)


def _new(spec: ModelSpec) -> Classifier:
    """Return such a network, always from the same seed."""
    torch.manual_seed(0)
    return registry.build(
        spec.arch,
        num_classes=spec.num_classes,
        in_channels=spec.in_channels,
        image_size=spec.image_size,
    )


def _all(of: Checked) -> Outputs:
    with torch.no_grad():
        found: Outputs = of.network(of.images, features="features" in of.spec.supplies)
    return found


def _require_equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Broken(f"{what}: {found}, not {expected}")


def _require_close(what: str, found: Tensor, expected: Tensor) -> None:
    """Compare tensors (...) of one shape."""
    scale = expected.abs().max().clamp(min=1.0)
    if not ((found - expected).abs() <= _TOLERANCE * scale).all():
        raise Broken(f"{what} by {(found - expected).abs().max():.3g}")
