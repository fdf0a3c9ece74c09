"""Finds architectures: each file of this folder with a dict ``ARCHITECTURES`` is a family.

Nothing here imports a family statically: the code fingerprint of a run follows static imports, and
an edit of one family must leave the runs of the others as they are. Networks of libraries and of
one's own have names of their own kinds, see ``naming``.
"""

from __future__ import annotations

import difflib
import importlib
import re
from typing import TYPE_CHECKING

from distillery.core import declarations
from distillery.core.errors import UserError
from distillery.models.naming import defined_elsewhere, library_of, source_of

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
    name = _parts(arch)[0]
    return defined_elsewhere(name) or declarations.module_of(_PACKAGE, _TABLE, "model", name)


def require(arch: str) -> None:
    """Check that there is such an architecture, also one of a library or one's own.

    Raises:
        UserError: there is none; the message has the nearest name.
    """
    library = library_of(arch)
    if library is None:
        module_of(arch)
        source_of(arch)
        return
    name = arch.partition("/")[2]
    known = library_names(library)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; did you mean '{library}/{close[0]}'?" if close else ""
        raise UserError(
            f"unknown model '{arch}'{hint} (`distillery models '{library}/*'` lists all)"
        )


def library_names(library: str) -> list[str]:
    """Return the names of all networks of a library, without the library's."""
    module = importlib.import_module(str(defined_elsewhere(f"{library}/")))
    names: list[str] = module.names()
    return names


def reusing_head(arch: str, dim: int, factor: int, side: int | None) -> str:
    """Return the name of an architecture whose head is another network's; see ``reused_head``."""
    return f"{arch}_head{dim}f{factor}" + (f"s{side}" if side else "")


def build(
    arch: str,
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 32,
    source: str | None = None,
) -> Classifier:
    """Return a new network with random weights, drawn from torch's global generator.

    Args:
        arch: its name.
        num_classes: number of logits.
        in_channels: channels of the images.
        image_size: their height and width, which some networks of libraries depend on.
        source: SHA-256 of the code of an own network, if it has to be a certain one.

    Raises:
        UserError: there is no such architecture, or the code of an own one is another.
    """
    name, head = _parts(arch)
    family = importlib.import_module(module_of(arch))
    if source and source_of(name) != source:
        raise UserError(
            f"model '{name}': its code has changed since this run was planned; restore it, or "
            "plan anew"
        )
    sizes = {"num_classes": num_classes, "in_channels": in_channels}
    if defined_elsewhere(name):
        sizes["image_size"] = image_size
    model: Classifier = family.build(name, **sizes)
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
