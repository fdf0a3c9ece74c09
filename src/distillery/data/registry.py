"""Finds data sources: each file of ``sources`` with a dict ``SOURCES`` reads those sources.

``SOURCES`` says of each by its id what is known before its files are read, and ``read(settings,
raw)`` returns the raw data. No static import names these modules, so that an edit of one source
changes the runs of that source alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from distillery.core import declarations

if TYPE_CHECKING:
    from distillery.data.raw import SourceFacts

_PACKAGE, _TABLE = "distillery.data.sources", "SOURCES"


def names() -> list[str]:
    """Return the ids of all sources, sorted."""
    return list(declarations.declared(_PACKAGE, _TABLE))


def module_of(source: str) -> str:
    """Return the dotted name of the module that reads a source; an unknown one is an error."""
    return declarations.module_of(_PACKAGE, _TABLE, "data source", source)


def facts(source: str) -> SourceFacts:
    """Return what is known of a source before its files are read."""
    found: SourceFacts = importlib.import_module(module_of(source)).SOURCES[source]
    return found
