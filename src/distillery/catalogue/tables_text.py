"""Tables for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table

_WIDTH = 118


def printed(*parts: RenderableType) -> str:
    """Return what a terminal shows of these, without colours."""
    console = Console(width=_WIDTH, color_system=None, highlight=False, markup=False)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get().rstrip("\n")


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table for a terminal."""
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return printed(table)
