"""Finds architectures: each file of this folder with a dict ``ARCHITECTURES`` is a family.

Nothing here imports a family statically: the code fingerprint of a run follows static imports, and
an edit of one family must leave the runs of the others as they are.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

from distillery.core import declarations

if TYPE_CHECKING:
    from distillery.models.base import Classifier

_PACKAGE, _TABLE = "distillery.models", "ARCHITECTURES"
# An architecture, perhaps with another network's head behind it, see ``reused_head``.
_NAME = re.compile(r"(?P<trunk>.+?)(_head(?P<dim>\d+)f(?P<factor>\d+)(s(?P<side>\d+))?)?")


def names() -> list[str]:
    """Return the names of all architectures, sorted."""
    return list(declarations.declared(_PACKAGE, _TABLE))


def module_of(arch: str) -> str:
    """Return the dotted name of the module that defines an architecture, or say which is near."""
    return declarations.module_of(_PACKAGE, _TABLE, "model", _parts(arch)[0])


def reusing_head(arch: str, dim: int, factor: int, side: int | None) -> str:
    """Return the name of an architecture whose head is another network's; see ``reused_head``."""
    return f"{arch}_head{dim}f{factor}" + (f"s{side}" if side else "")


def build(arch: str, *, num_classes: int, in_channels: int = 3) -> Classifier:
    """Return a new network with random weights, drawn from torch's global generator.

    Raises:
        UserError: there is no such architecture.
    """
    family = importlib.import_module(module_of(arch))
    name, head = _parts(arch)
    model: Classifier = family.build(name, num_classes=num_classes, in_channels=in_channels)
    if head:
        from distillery.models.reused_head import ReusedHead

        return ReusedHead(model, num_classes, **head)
    return model


def _parts(arch: str) -> tuple[str, dict[str, int]]:
    """Return an architecture without the head behind it, and what its name says of that head."""
    found = _NAME.fullmatch(arch)
    if found is None:
        return arch, {}
    head = found.groupdict()
    trunk: str = head.pop("trunk")
    return trunk, {key: int(value) for key, value in head.items() if value}
