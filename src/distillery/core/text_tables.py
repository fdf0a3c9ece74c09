"""Tables as text, for terminals and files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

# Wider than any table: nothing is wrapped.
_ANY_WIDTH = 10_000
# A number, perhaps with its unit, or what stands for none.
_NUMBER = re.compile(r"[-+−]?\d[\d.,]*(e[-+]?\d+)?( %| [a-zA-Z]+)?|[-–?]?|nan|inf")


def text_table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", width: int | None = None
) -> list[str]:
    """Return the lines of a table; columns of numbers are set to the right.

    Args:
        head: names of the columns; none for a table without a head.
        rows: the cells of each row.
        title: stands above the table.
        width: of a line in characters, beyond which cells are wrapped; None: as wide as need be.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[str(cell) for cell in row] for row in rows]
    count = len(head) or max(map(len, cells), default=0)
    table = Table(box=None, pad_edge=False, show_header=bool(head))
    for number in range(count):
        is_number = bool(cells) and all(_NUMBER.fullmatch(row[number]) for row in cells)
        table.add_column(
            Text(head[number]) if head else "",
            justify="right" if is_number else "left",
            overflow="fold",
        )
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console(width=width or _ANY_WIDTH, color_system=None, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    lines = [line.rstrip() for line in drawn.get().splitlines()]
    return [title, *lines] if title else lines
