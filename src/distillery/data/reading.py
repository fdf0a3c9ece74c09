"""Reads the raw data of any source."""

from __future__ import annotations

import importlib

from distillery.data import registry
from distillery.data.files import RawFiles
from distillery.data.raw import RawData
from distillery.data.settings import Source


def read(settings: Source, raw: RawFiles) -> RawData:
    """Open the raw data of a source.

    Raises:
        UserError: they are missing, damaged, or not laid out as the source demands.
    """
    module = importlib.import_module(registry.module_of(settings.source))
    data: RawData = module.read(settings, raw)
    return data
