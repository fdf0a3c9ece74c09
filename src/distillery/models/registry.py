"""Finds architectures: each file of this folder with a dict ``ARCHITECTURES`` is a family.

Nothing here imports a family statically: the code fingerprint of a run follows static imports, and
an edit of one family must leave the runs of the others as they are.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from distillery.core import declarations

if TYPE_CHECKING:
    from distillery.models.base import Classifier

_PACKAGE, _TABLE = "distillery.models", "ARCHITECTURES"


def names() -> list[str]:
    """Return the names of all architectures, sorted."""
    return list(declarations.declared(_PACKAGE, _TABLE))


def module_of(arch: str) -> str:
    """Return the dotted name of the module that defines an architecture, or say which is near."""
    return declarations.module_of(_PACKAGE, _TABLE, "model", arch)


def build(arch: str, *, num_classes: int, in_channels: int = 3) -> Classifier:
    """Return a new network with random weights, drawn from torch's global generator.

    Raises:
        UserError: there is no such architecture.
    """
    family = importlib.import_module(module_of(arch))
    model: Classifier = family.build(arch, num_classes=num_classes, in_channels=in_channels)
    return model
