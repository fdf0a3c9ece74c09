"""Finds a run by what a person types: its name, a part of that, or the beginning of its key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from distillery.core.errors import UnknownName, UserError
from distillery.runs.run import KEY_LENGTH, key_in

# Shorter ones may be numbers or words of a name.
_SHORTEST_KEY = 4
_SHOWN = 6


def found(wanted: str, names: Iterable[str], where: str) -> str:
    """Return the one name of a run's directory that is meant.

    The first of these that fits any name decides: the name as a whole, or with another beginning
    and the same key; the readable part as a whole; the beginning of the key; the end of the
    readable part; any part of it, from dash to dash.

    Args:
        wanted: what was typed; it may be a path, also that of the manifest.
        names: names of the runs' directories, each ``<readable part>-<key>``.
        where: what the message says of where other names are found.

    Raises:
        UserError: none fits, or several do.
    """
    typed = wanted.rstrip("/").removesuffix("/manifest.json").rpartition("/")[2]
    known = list(dict.fromkeys(names))
    for fits in _ranks(typed):
        fitting = [name for name in known if fits(*split(name))]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            shown = ", ".join(fitting[:_SHOWN])
            more = f" and {len(fitting) - _SHOWN} more" if len(fitting) > _SHOWN else ""
            raise UserError(f"'{wanted}' may be any of {len(fitting)} runs: {shown}{more}")
    near = {*known, *(split(name)[0] for name in known)}
    raise UserError(f"unknown run '{typed}'{UnknownName.hint(typed, sorted(near))}; {where}")


def _ranks(typed: str) -> Iterator[Callable[[str, str], bool]]:
    """Yield what may be meant, the most exact first: tests of readable part and key."""
    yield lambda slug, key: typed == f"{slug}-{key}"
    yield lambda slug, key: key_in(typed) == key
    yield lambda slug, key: typed == slug
    if re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_KEY},}}", typed):
        yield lambda slug, key: key.startswith(typed)
    yield lambda slug, key: slug.endswith(f"-{typed}")
    yield lambda slug, key: f"-{typed}-" in f"-{slug}-"


def split(name: str) -> tuple[str, str]:
    """Return the readable part of a directory's name, and the key."""
    return name[: -KEY_LENGTH - 1], key_in(name)
