"""The networks of this project as a page: docs/models.md."""

from __future__ import annotations

import importlib
import inspect

from distillery.core.schema_words import markdown_table
from distillery.models import registry
from distillery.models.catalogue import Entry, Images, entry

_IMAGES = Images(classes=100, channels=3, size=32)
_PREFACE = f"""\
# Networks

<!-- Made by `uv run distillery models --markdown > docs/models.md`: edit the networks instead. -->

Names for `teachers.<id>.arch` and `pairs.<id>.student`. Parameters and floating-point operations
of an image are counted, and shapes given, for {_IMAGES.classes} classes and {_IMAGES.channels}
channels of {_IMAGES.size}x{_IMAGES.size} pixels; other numbers of classes and channels, and other
sizes where a network allows them, follow the data: `distillery models --image-size 224` lists
those. *Features* are the maps (channels x height x width) that feature methods read. Networks of
timm and torchvision, and your own, come by names of their own: see the
[tutorial](tutorial-own-network.md) and [adding a model](adding-a-model.md)."""


def markdown() -> str:
    """Return the page: a section for each family."""
    families: dict[str, list[str]] = {}
    for name in registry.names():
        families.setdefault(registry.module_of(name), []).append(name)
    parts = [_PREFACE]
    for family, names in families.items():
        described = inspect.cleandoc(importlib.import_module(family).__doc__ or "")
        rows = [_cells(entry(name, _IMAGES)) for name in names]
        header = ("network", "parameters", "MFLOPs", "embedding", "features")
        parts += [f"## {family.rpartition('.')[2]}", described, markdown_table(header, rows)]
    return "\n\n".join(parts)


def _cells(shown: Entry) -> tuple[str, ...]:
    return (f"`{shown.name}`", *shown.counted, ", ".join(shown.maps))
