"""Finds methods by file name: ``crd`` is the one Method class in ``methods/crd.py``.

A method that needs several files is a folder, its class in ``method.py``: ``methods/aecrd/``.
"""

from __future__ import annotations

from distillery.core import registry
from distillery.methods.base import Method

_PACKAGE, _KIND = "distillery.methods", "method"
_NOT_METHODS = ("base", "registry")


def names() -> list[str]:
    """Return the names of all methods, sorted."""
    return registry.module_names(_PACKAGE, _NOT_METHODS, _KIND)


def module_of(name: str) -> str:
    """Return the dotted name of the module that defines a method."""
    return registry.module_of(_PACKAGE, _KIND, name, _NOT_METHODS)


def load(name: str) -> type[Method]:
    """Return the class of a method."""
    return registry.load_class(_PACKAGE, _KIND, name, Method, _NOT_METHODS)
