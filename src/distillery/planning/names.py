"""Readable names of runs, from the ids of the params file: data set, pair, entry, variant, seed.

A name identifies nothing, the key behind it does: experiments that share a run may name it
differently, and it lies under the name that it was first made with (see ``runs.artifact``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from distillery.data.settings import Source, Split

# Each part has a length of its own, so that what is cut is never the seed or the protocol behind
# it. File systems allow 255 bytes: all parts of the longest name, its key and a suffix have room.
_LONGEST_ID = 32
_LONGEST_VARIANT = 56


def joined(*parts: str) -> str:
    """Join parts of a name, each safe and bounded already; empty ones are left out."""
    return "-".join(filter(None, parts))


def part(text: str, longest: int = _LONGEST_ID) -> str:
    """Return what any text is called in a name: letters, digits, ``-``, ``_`` and ``.`` alone.

    Accents are dropped; what is left of letters of other scripts may be nothing.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain)[:longest].strip("-._")


def of_data(name: str, settings: Source) -> str:
    """Return what a data set is called.

    Args:
        name: its id in ``datasets``; empty for the experiment's own, which is called by its source,
            or by its folder or archive where the source reads any.
        settings: where it comes from.
    """
    if name:
        return part(name)
    facts = settings.facts
    is_any = settings.path and not facts.paths and not facts.built_in
    own = part(PurePath(settings.path).name.partition(".")[0]) if is_any and settings.path else ""
    return own or settings.source


def of_split(split: Split) -> str:
    """Return what of a data set is trained on; empty for all of it."""
    words = {
        "per-class": split.per_class,
        "fraction": split.fraction if split.fraction < 1 else None,
        "held-out": split.validation_fraction or None,
        "split": split.seed or None,
    }
    return "-".join(f"{word}-{value:g}" for word, value in words.items() if value is not None)


def of_network(name: str, arch: str) -> str:
    """Return what a teacher is called: by its id, and its architecture if that is another name."""
    return part(name) if name == arch else f"{part(name)}-{part(arch)}"


def of_variant(settings: Mapping[str, Any]) -> str:
    """Return what differs in a variant: the last part of each dotted name, and its value."""
    words = (f"{axis.rpartition('.')[2]}-{_value(value)}" for axis, value in settings.items())
    return part("-".join(words), _LONGEST_VARIANT)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "-".join(f"{name}-{_value(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "-".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
