"""What a measure returns: the rows of its table."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import NotRequired, Required, TypedDict

import numpy as np

from distillery.core import registry
from distillery.core.errors import UnknownName

PACKAGE = "benchmarks"


class Row(TypedDict):
    """One number of a table.

    The label is the row's name within its measure, the same for quick and whole measurements.
    """

    label: Required[str]
    value: Required[float]
    target: Required[float | None]
    """What is aimed at; None for numbers that only inform."""
    note: NotRequired[str]
    """What the number depends on or is bounded by, in a few words."""
    unit: NotRequired[str]
    """Empty for ratios."""
    spread: NotRequired[tuple[float, float]]
    """Lower and upper quartile of the repeats."""
    at_most: NotRequired[bool]
    """Whether smaller is better."""


def ratio_row(
    label: str,
    above: np.ndarray,
    below: np.ndarray,
    target: float | None = None,
    note: str = "",
    *,
    at_most: bool = False,
) -> Row:
    """Return the row of a ratio.

    Args:
        label: name of the row.
        above: (rounds,) times, of which those of one index were taken side by side.
        below: (rounds,) times likewise.
        target: what is aimed at.
        note: what bounds it.
        at_most: whether smaller is better.
    """
    low, middle, high = np.quantile(np.asarray(above) / np.asarray(below), (0.25, 0.5, 0.75))
    return Row(
        label=label,
        value=float(middle),
        target=target,
        note=note,
        spread=(float(low), float(high)),
        at_most=at_most,
    )


def measures() -> dict[str, ModuleType]:
    """Return the modules of this folder that measure something, by name."""
    found = {
        name: importlib.import_module(f"{PACKAGE}.{name}")
        for name, _ in registry.listing(PACKAGE)
        if not name.startswith("_")
    }
    return {name: module for name, module in found.items() if hasattr(module, "measure")}


def chosen(names: list[str]) -> dict[str, ModuleType]:
    """Return the measures of these names; without names all but those that take very long.

    Raises:
        UnknownName: there is no such measure.
    """
    known = measures()
    for name in names:
        if name not in known:
            raise UnknownName("measure", name, known)
    return {
        name: module
        for name, module in known.items()
        if (name in names if names else not getattr(module, "ON_REQUEST", False))
    }
