"""Finds the data sources by looking at the modules of this folder.

A source's module has ``SOURCES``, which describes every source that it reads by id, and
``read(settings, raw)``, which returns the raw data. No static import names these modules, so that
an edit of one source changes the runs of that source alone.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from distillery.core import registry
from distillery.core.errors import unknown_name

if TYPE_CHECKING:
    from distillery.data.files import RawFiles
    from distillery.data.raw import Kind, RawData
    from distillery.data.settings import Source

_PACKAGE = "distillery.data.sources"


def names() -> list[str]:
    """Return the ids of all sources, sorted."""
    return sorted(_modules())


def module_of(source: str) -> str:
    """Return the dotted name of the module that reads a source.

    Raises:
        UserError: there is no such source.
    """
    if source not in _modules():
        raise unknown_name("data source", source, names())
    return _modules()[source].__name__


def kind(source: str) -> Kind:
    """Return what is known of a source before its files are read."""
    found: Kind = _modules()[source].SOURCES[source]
    return found


def known_shape(settings: Source) -> tuple[int, int] | None:
    """Return side length and channels of the images as far as the settings tell, else None."""
    side, _ = kind(settings.source).shape or (None, None)
    side, channels = settings.image_size or side, known_channels(settings)
    return (side, channels) if side and channels else None


def known_channels(settings: Source) -> int | None:
    """Return how many channels the images have as far as the settings tell, else None."""
    if settings.colour == "lab":
        return 3
    _, channels = kind(settings.source).shape or (None, None)
    return settings.channels or channels


def read(settings: Source, raw: RawFiles) -> RawData:
    """Open the raw data that the settings name.

    Raises:
        UserError: files are missing, damaged, or not laid out as the source demands.
    """
    found: RawData = _modules()[settings.source].read(settings, raw)
    return found


@cache
def _modules() -> dict[str, ModuleType]:
    found = [
        importlib.import_module(registry.module_of(_PACKAGE, "data source", name))
        for name in registry.module_names(_PACKAGE, leave_out=("registry",))
    ]
    return {source: module for module in found for source in module.SOURCES}
