"""Finds protocols by file name.

A protocol's module has ``Options`` (its settings), ``TITLE``, and ``run(work)``, which writes
``metrics.json``: a flat mapping of names to numbers.
"""

from __future__ import annotations

from types import ModuleType

from distillery import registry

_PACKAGE = "distillery.evaluation"
_NOT_PROTOCOLS = ("registry",)


def names() -> list[str]:
    """Return the names of all protocols, sorted."""
    return registry.module_names(_PACKAGE, _NOT_PROTOCOLS)


def module_of(name: str) -> str:
    """Return the dotted name of a protocol's module."""
    return registry.module_of(_PACKAGE, "protocol", name, _NOT_PROTOCOLS)


def load(name: str) -> ModuleType:
    """Import a protocol's module."""
    return registry.import_one(_PACKAGE, "protocol", name, _NOT_PROTOCOLS)
