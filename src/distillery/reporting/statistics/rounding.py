"""Rounds numbers so that all machines write the same digits.

The order in which a processor adds up decides the last of a number's 16 digits. What is read and
what is computed from it is rounded before anything is shown, so texts, tables and the coordinates
of figures are the same everywhere.
"""

from __future__ import annotations

import math

import pandas as pd

DIGITS = 10
"""Significant digits of the numbers in a report."""


def significant(values: pd.Series, sizes: pd.Series | None = None) -> pd.Series:
    """Return numbers with ``DIGITS`` significant digits.

    Args:
        values: the numbers.
        sizes: where the numbers are differences, what they are the differences of: a deviation has
            no more decimals than its mean.
    """
    pairs = zip(values, values if sizes is None else sizes, strict=True)
    return pd.Series([_rounded(*pair) for pair in pairs], values.index, float, values.name)


def significant_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns of numbers are rounded."""
    numbers = frame.select_dtypes("float").apply(significant)
    return frame.assign(**{str(name): column for name, column in numbers.items()})


def _rounded(value: float, size: float) -> float:
    largest = max(abs(value), abs(size))
    if not largest or not math.isfinite(largest):
        return value
    # The sum makes a negative zero a zero.
    return round(value, DIGITS - 1 - math.floor(math.log10(largest))) + 0.0
