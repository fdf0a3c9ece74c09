"""Networks of torchvision: ``torchvision/mobilenet_v3_small`` is its ``mobilenet_v3_small``.

They are torchvision's own modules with its initialisation; nothing is downloaded. For other than
colour images the first convolution is a new one of as many channels, drawn by He et al. (2015).
Transformers get the size of the images.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn
from torchvision import models

from distillery.core.errors import UserError
from distillery.models.base import Classifier
from distillery.models.libraries.traced import TracedClassifier

# Auxiliary classifiers, which are left out, and the size of images where it is part of a network.
_NO_AUXILIARY = {"aux_logits": False, "init_weights": True}
_OPTIONS = {"googlenet": _NO_AUXILIARY, "inception_v3": _NO_AUXILIARY}
_RGB, _REFERENCE = 3, 256


def names() -> list[str]:
    """Return the names of all classifiers."""
    return [str(name) for name in models.list_models(module=models)]


def build(arch: str, *, num_classes: int, in_channels: int, image_size: int) -> Classifier:
    """Return a new network.

    Raises:
        UserError: it cannot be made for images of this size.
    """
    name = arch.partition("/")[2]
    options: dict[str, Any] = dict(_OPTIONS.get(name, {}))
    reference = _REFERENCE
    if name.startswith("vit_"):
        options["image_size"] = reference = image_size
    elif name.startswith("maxvit"):
        options["input_size"], reference = (image_size, image_size), image_size
    try:
        network = models.get_model(name, weights=None, num_classes=num_classes, **options)
    except (ValueError, AssertionError) as error:
        raise UserError(
            f"model '{arch}': not for images of {image_size} x {image_size} pixels "
            f"({inspect.cleandoc(str(error)) or 'as it says'}); see the data set's `image_size`"
        ) from None
    adapt_first_convolution(network, in_channels)
    return TracedClassifier(
        network,
        arch,
        num_classes=num_classes,
        in_channels=in_channels,
        reference=reference,
    )


def adapt_first_convolution(network: nn.Module, in_channels: int) -> None:
    """Give a network for colour images a first convolution for images of other channels."""
    if in_channels == _RGB:
        return
    path, old = next(
        (path, layer) for path, layer in network.named_modules() if isinstance(layer, nn.Conv2d)
    )
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        stride=old.stride,  # type: ignore[arg-type]
        padding=old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, new)
