"""Finds sections by file name.

A section's module shows what a protocol of its name measured, or what methods that name it in
``Method.section`` logged. It has ``TITLE``; ``TABLES`` and ``FIGURES``, the suffixes of what it
always makes (see ``files.section``); ``tables(results, entry)`` and ``figures(results, entry,
looks)``, which make it.
"""

from __future__ import annotations

from types import ModuleType

from distillery.core import registry

_PACKAGE = "distillery.reporting.sections"
_NOT_SECTIONS = ("registry",)


def names() -> list[str]:
    """Return the names of all sections, sorted."""
    return registry.module_names(_PACKAGE, _NOT_SECTIONS)


def module_of(name: str) -> str:
    """Return the dotted name of a section's module."""
    return registry.module_of(_PACKAGE, "section", name, _NOT_SECTIONS)


def load(name: str) -> ModuleType:
    """Import a section's module."""
    return registry.import_one(_PACKAGE, "section", name, _NOT_SECTIONS)
