"""How commands show things: tables, sparklines, spans of time."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from distillery.core.text_tables import text_table

_BARS = "▁▂▃▄▅▆▇█"
_WIDEST = 60


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table as wide as the terminal; in a file nothing is wrapped."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in text_table(columns, rows, title=title, width=width):
        print(line)


def sparkline(values: Sequence[float]) -> str:
    """Draw a curve with eight heights, in at most 60 characters; what is no number is left out."""
    finite = [value for value in values if math.isfinite(value)]
    count = min(len(finite), _WIDEST)
    shown = [finite[round(place * (len(finite) - 1) / max(count - 1, 1))] for place in range(count)]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] for value in shown)
