"""Finds architectures: each file of this folder with a dict ``ARCHITECTURES`` is a family.

The names are read from the sources, so that a plan knows them without importing torch. Nothing
here imports a family statically: the code fingerprint of a run follows static imports, and an edit
of one family must leave the runs of the others as they are.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from distillery import models
from distillery.core.errors import unknown_name

if TYPE_CHECKING:
    from distillery.models.base import Classifier

_TABLE = "ARCHITECTURES"


def names() -> list[str]:
    """Return the names of all architectures, sorted."""
    return sorted(_catalogue())


def module_of(arch: str) -> str:
    """Return the dotted name of the module that defines an architecture.

    Raises:
        UserError: there is no such architecture.
    """
    catalogue = _catalogue()
    if arch not in catalogue:
        raise unknown_name("model", arch, catalogue)
    return catalogue[arch]


def build(arch: str, *, num_classes: int, in_channels: int = 3) -> Classifier:
    """Return a new network with random weights, drawn from torch's global generator.

    Raises:
        UserError: there is no such architecture.
    """
    family = importlib.import_module(module_of(arch))
    model: Classifier = family.build(arch, num_classes=num_classes, in_channels=in_channels)
    return model


@cache
def _catalogue() -> dict[str, str]:
    """Return architecture -> dotted module name over all families."""
    found: dict[str, str] = {}
    for info in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
        for arch in _declared(info.name):
            if arch in found:
                raise TypeError(f"{info.name} and {found[arch]} both define {arch}")
            found[arch] = info.name
    return found


def _declared(module: str) -> list[str]:
    """Return the keys of a module's ``ARCHITECTURES``; none if it has no such table."""
    spec = find_spec(module)
    source = getattr(spec.loader, "get_source", lambda _: None)(module) if spec else None
    for statement in ast.parse(source or "").body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == _TABLE:
                return _literal_keys(module, value)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if name == _TABLE:
                return _literal_keys(module, value)
    return []


def _literal_keys(module: str, table: ast.expr | None) -> list[str]:
    keys = (
        [getattr(key, "value", None) for key in table.keys] if isinstance(table, ast.Dict) else []
    )
    if not keys or not all(isinstance(key, str) for key in keys):
        raise TypeError(
            f"{_TABLE} in {module} must be a dict written out with its names as strings"
        )
    return [str(key) for key in keys]
