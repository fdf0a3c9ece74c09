"""What a tuning proposes to try of a method entry: the entry itself, then a grid or draws."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from distillery.core.errors import UnknownName
from distillery.core.randomness import generator
from distillery.experiment.ablations import Ablation
from distillery.experiment.errors import KeyPath, ParamsError
from distillery.experiment.tuning import Search
from distillery.planning.ranges import Range, with_ranges
from distillery.planning.variants import Variant, dotted, lookup, variant, variants_of

# The others change which runs a student reads, and these are planned before anything is chosen.
_TUNABLE = ("kd_temperature", "options", "training", "weights")


def proposals(
    search: Search, count: int | None, entry: str, seed: int, path: KeyPath
) -> Iterator[Variant]:
    """Yield what to try: first the entry as it stands, then every combination, or endless draws.

    Args:
        search: what is tried.
        count: number of trials if they are drawn; None: every combination.
        entry: id of the method entry; each has draws of its own.
        seed: seed of the draws.
        path: where the params file has ``vary``.

    Raises:
        ParamsError: what is varied cannot be.
    """
    yield variant({}, path)
    for part in _parts(search):
        _check_names(part, path)
    if count is not None:
        yield from _drawn(search, seed, entry, path)
        return
    for axis, found in _sources(search, path):
        if isinstance(found, Range):
            raise ParamsError((*path, *axis.split(".")), "a range needs `trials`, how many to draw")
    yield from variants_of(Ablation(pair=entry, method=entry, vary=search.vary), path)


def axes_of_search(search: Search, path: KeyPath) -> tuple[str, ...]:
    """Return the dotted names of what is tried; ``path`` is where the params file has it."""
    return tuple(dict.fromkeys(axis for axis, _ in _sources(search, path)))


def bounds(search: Search, path: KeyPath) -> Iterator[Variant]:
    """Yield a variant for every value that bounds a range: if they are allowed, all draws are."""
    for axis, found in _sources(search, path):
        for value in found.values if isinstance(found, Range) else ():
            yield variant({axis: value}, path)


def _parts(search: Search) -> list[dict[str, Any]]:
    return search.vary if isinstance(search.vary, list) else [search.vary]


def _sources(search: Search, path: KeyPath) -> Iterator[tuple[str, Any]]:
    """Yield the axes, each with its range, its list of values, or its value."""
    for part in _parts(search):
        tree = with_ranges(part, path)
        yield from ((axis, lookup(tree, axis)) for axis in dotted(tree))


def _check_names(part: Mapping[str, Any], path: KeyPath) -> None:
    for name in part:
        if name not in _TUNABLE:
            raise ParamsError(path, str(UnknownName("key", name, _TUNABLE)))


def _drawn(search: Search, seed: int, entry: str, path: KeyPath) -> Iterator[Variant]:
    """Yield random draws without end.

    Raises:
        ParamsError: there is nothing to draw from.
    """
    if isinstance(search.vary, list):
        raise ParamsError(path, "`trials` draws from lists and ranges, not from single variants")
    ranges = {}
    for axis, found in _sources(search, path):
        if not isinstance(found, Range | list) or found == []:
            at = (*path, *axis.split("."))
            raise ParamsError(at, f"found {found!r}; give a list of values or a range")
        ranges[axis] = Range("choice", found) if isinstance(found, list) else found
    random = generator(seed, f"trials of {entry}")
    for _ in itertools.count():
        yield variant({axis: each.draw(random) for axis, each in ranges.items()}, path)
