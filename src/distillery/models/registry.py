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
# An architecture behind which another network's head is put, see ``reused_head``.
_REUSING = re.compile(r"(?P<trunk>\w+)_head(?P<dim>\d+)f(?P<factor>\d+)(s(?P<side>\d+))?")


def names() -> list[str]:
    """Return the names of all architectures, sorted."""
    return list(declarations.declared(_PACKAGE, _TABLE))


def module_of(arch: str) -> str:
    """Return the dotted name of the module that defines an architecture, or say which is near."""
    reusing = _REUSING.fullmatch(arch)
    return declarations.module_of(_PACKAGE, _TABLE, "model", reusing["trunk"] if reusing else arch)


def reusing_head(arch: str, dim: int, factor: int, side: int | None) -> str:
    """Return the name of an architecture whose head is another network's; see ``reused_head``."""
    return f"{arch}_head{dim}f{factor}" + (f"s{side}" if side else "")


def build(arch: str, *, num_classes: int, in_channels: int = 3) -> Classifier:
    """Return a new network with random weights, drawn from torch's global generator.

    Raises:
        UserError: there is no such architecture.
    """
    family = importlib.import_module(module_of(arch))
    reusing = _REUSING.fullmatch(arch)
    name = reusing["trunk"] if reusing else arch
    model: Classifier = family.build(name, num_classes=num_classes, in_channels=in_channels)
    if reusing:
        from distillery.models.reused_head import ReusedHead

        dim, factor, side = (int(reusing[key] or 0) for key in ("dim", "factor", "side"))
        return ReusedHead(model, num_classes, dim, factor, side or None)
    return model
