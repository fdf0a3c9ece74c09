"""Finds sections by file name: ``few-shot`` is the one Section class in ``few_shot.py``.

A section shows what a protocol of its name measured, or what methods that name it in
``Method.section`` logged.
"""

from __future__ import annotations

from distillery.core import registry
from distillery.reporting.sections.base import Section

_PACKAGE, _KIND = "distillery.reporting.sections", "section"
_NOT_SECTIONS = ("base", "registry", "study")


def names() -> list[str]:
    """Return the names of all sections, sorted."""
    return registry.module_names(_PACKAGE, _NOT_SECTIONS)


def module_of(name: str) -> str:
    """Return the dotted name of a section's module."""
    return registry.module_of(_PACKAGE, _KIND, name, _NOT_SECTIONS)


def load(name: str) -> Section:
    """Return a section."""
    section = registry.load_class(
        _PACKAGE,
        _KIND,
        name,
        Section,  # type: ignore[type-abstract]
        _NOT_SECTIONS,
    )
    return section()
