"""Finds protocols by file name: ``inter-class`` is the one class in ``inter_class.py``."""

from __future__ import annotations

from distillery.core import registry
from distillery.evaluation.base import Evaluation

_PACKAGE, _KIND = "distillery.evaluation", "protocol"
_NOT_PROTOCOLS = (
    "base",
    "context",
    "evaluate",
    "metrics",
    "registry",
    "student_steps",
)


def names() -> list[str]:
    """Return the names of all protocols and studies, sorted."""
    return registry.module_names(_PACKAGE, _NOT_PROTOCOLS)


def module_of(name: str) -> str:
    """Return the dotted name of the module that defines a protocol."""
    return registry.module_of(_PACKAGE, _KIND, name, _NOT_PROTOCOLS)


def load(name: str) -> type[Evaluation]:
    """Return the class of a protocol or study."""
    return registry.load_class(_PACKAGE, _KIND, name, Evaluation, _NOT_PROTOCOLS)
