"""Cells of statistics, numbers and settings, with the runs that they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distillery.reporting.formatting import DASH, digits_for, spread
from distillery.reporting.formatting import setting as setting_text
from distillery.reporting.tables.model import Cell


def mean(row: Any, digits: int | None = None) -> Cell:
    """Return the cell of a row with ``mean``, ``std`` and ``runs``, bold where it ``is_best``.

    Without ``digits`` it has the decimals that its own size asks for.
    """
    digits = digits_for([row.mean]) if digits is None else digits
    is_best = bool(getattr(row, "is_best", False))
    return Cell(spread(row.mean, row.std, digits), row.mean, is_best, keys(row.runs))


def percent(row: Any) -> Cell:
    """Return the cell of a percentage, such as an accuracy."""
    return mean(row, digits=2)


def mean_as(write: Callable[[float], str], unit: float = 1) -> Callable[[Any], Cell]:
    """Return the function that makes a cell of the mean alone, in this unit."""
    return lambda row: number(row.mean / unit, row.runs, write)


def number(value: float, runs: str, write: Callable[[float], str]) -> Cell:
    """Return the cell of a number that comes from these runs."""
    return Cell(write(value), value, runs=keys(runs))


def setting(settings: Mapping[str, Any], name: str) -> Cell:
    """Return the cell of a setting, a dash where it is left as it was."""
    if name not in settings:
        return Cell(DASH)
    value = settings[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(setting_text(value), value if is_number else None)


def keys(runs: str) -> tuple[str, ...]:
    """Return the keys in a column ``runs``, each once."""
    return tuple(dict.fromkeys(runs.split()))
