"""How commands show things: tables, sparklines, spans of time."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

_BARS = "▁▂▃▄▅▆▇█"
_WIDEST = 60


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table; columns of numbers are set to the right, and nothing is cut off in a file."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[str(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, title=title or None, title_justify="left")
    for number, column in enumerate(columns):
        is_number = cells and all(_is_number(row[number]) for row in cells)
        table.add_column(
            column, justify="right" if is_number else "left", overflow="fold", header_style="bold"
        )
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        print(line.rstrip())


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


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ""
    return True
