"""Finds methods by file name: ``crd`` is the one Method class in ``methods/crd.py``."""

from __future__ import annotations

import inspect

from distillery.core import registry
from distillery.methods.base import Method

_PACKAGE = "distillery.methods"
_NOT_METHODS = ("base", "catalogue", "registry")


def names() -> list[str]:
    """Return the names of all methods, sorted."""
    return registry.module_names(_PACKAGE, _NOT_METHODS)


def module_of(name: str) -> str:
    """Return the dotted name of the module that defines a method."""
    return registry.module_of(_PACKAGE, "method", name, _NOT_METHODS)


def load(name: str) -> type[Method]:
    """Return the class of a method."""
    module = registry.import_one(_PACKAGE, "method", name, _NOT_METHODS)
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Method)
        and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise TypeError(f"{module.__name__} must define one Method class, not {len(classes)}")
    return classes[0]
