"""Words that sentences of findings are put together from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from distillery.reporting.formatting import enumerated, interval, number, signed

_NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
# More names than these are counted, and the first few named.
_MOST_NAMES, _NAMED = 6, 3


def in_words(count: int) -> str:
    """Write a small number as a word: ``three``, ``13``."""
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def named(names: Sequence[str], what: str = "methods") -> str:
    """Enumerate names; of many, count them and name the first."""
    if len(names) <= _MOST_NAMES:
        return enumerated(names)
    return f"{in_words(len(names))} {what} ({enumerated(names[:_NAMED])} among them)"


def are(names: Sequence[str]) -> str:
    """Return ``is`` or ``are``."""
    return "is" if len(names) == 1 else "are"


def with_interval(difference: float, low: float, high: float) -> str:
    """Write a difference in percentage points with its 95 % interval."""
    ends = "" if math.isnan(low) else f", 95 % interval {interval(low, high, sign=True)}"
    return f"{signed(difference)} percentage points{ends}"


def percent(value: float) -> str:
    """Write an accuracy."""
    return f"{number(value)} %"


def sentence(text: str) -> str:
    """Return text with a capital at its beginning and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}."
