"""Ranges that settings are drawn from: ``{log-uniform: [0.01, 1]}`` in the place of a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from distillery.experiment.errors import KeyPath, ParamsError

# More digits of a drawn number would tell nothing.
_DIGITS = 4


@dataclass(frozen=True)
class Range:
    """What a value is drawn from.

    Attributes:
        kind: how, see ``KINDS``.
        values: its ends, or all values of a choice.
    """

    kind: str
    values: list[Any]

    def draw(self, random: np.random.Generator) -> Any:
        """Return one of the values."""
        return KINDS[self.kind](random, self.values)


def _uniform(random: np.random.Generator, ends: list[Any]) -> float:
    smallest, largest = ends
    return _rounded(random.uniform(smallest, largest))


def _log_uniform(random: np.random.Generator, ends: list[Any]) -> float:
    smallest, largest = map(math.log, ends)
    return _rounded(math.exp(random.uniform(smallest, largest)))


def _whole(random: np.random.Generator, ends: list[Any]) -> int:
    smallest, largest = ends
    return int(random.integers(smallest, largest, endpoint=True))


def _choice(random: np.random.Generator, values: list[Any]) -> Any:
    return values[int(random.integers(len(values)))]


KINDS: Mapping[str, Callable[[np.random.Generator, list[Any]], Any]] = {
    "uniform": _uniform,
    "log-uniform": _log_uniform,
    "int": _whole,
    "choice": _choice,
}
"""How to draw: evenly between two numbers, or their logarithms, or whole numbers, or a value."""


def with_ranges(tree: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
    """Return nested settings in which every mapping that says how to draw is a ``Range``.

    It is a ``ParamsError`` below ``path`` if one has no ends in order, or no values.
    """
    return {
        name: _branch(value, (*path, name)) if isinstance(value, Mapping) else value
        for name, value in tree.items()
    }


def _branch(value: Mapping[str, Any], path: KeyPath) -> Any:
    kinds = [kind for kind in value if kind in KINDS]
    if not kinds:
        return with_ranges(value, path)
    if len(value) > 1:
        raise ParamsError(path, f"found {len(value)} keys; a range has one of {', '.join(KINDS)}")
    (kind,) = kinds
    found, at = value[kind], (*path, kind)
    if kind == "choice":
        if not isinstance(found, list) or not found:
            raise ParamsError(at, f"found {found!r}; give a list of values")
    elif not _are_ends(found, int if kind == "int" else int | float):
        numbers = "whole numbers" if kind == "int" else "numbers"
        raise ParamsError(at, f"found {found!r}; give two {numbers}, the smaller one first")
    elif kind == "log-uniform" and found[0] <= 0:
        raise ParamsError(at, f"found {found!r}; both ends must be above 0")
    return Range(kind, found)


def _are_ends(found: Any, number: Any) -> bool:
    if not isinstance(found, list) or len(found) != 2:
        return False
    are_numbers = all(isinstance(end, number) and not isinstance(end, bool) for end in found)
    return are_numbers and found[0] < found[1]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
