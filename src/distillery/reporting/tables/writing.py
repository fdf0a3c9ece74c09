"""Writes tables as text: CSV, Markdown and LaTeX. The page has its own template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from distillery.reporting.tables.model import Table

# What is left after escaping and not in every font.
_LATEX_SYMBOLS = str.maketrans(
    {
        "±": r"$\pm$",
        "→": r"$\rightarrow$",
        "−": "$-$",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        "–": "--",
        "’": "'",
    }
)


def to_csv(table: Table) -> str:
    """Return the numbers in long form."""
    return table.data.to_csv(index=False, lineterminator="\n")


def to_markdown(table: Table) -> str:
    """Return a table for GitHub and for plain reading."""
    header = [_markdown(table.joint.join(filter(None, levels))) for levels in table.header]
    rules = [":--" if column < table.labels else "--:" for column in range(len(header))]
    rows = [
        [f"**{cell.text}**" if cell.strong else _markdown(cell.text) for cell in row]
        for row in table.rows
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rules, *rows)]
    source = f"The runs behind each number: {_markdown(table.name)}.csv"
    return "\n".join([*lines, "", f"{_markdown(table.caption)} {source}", ""])


def to_latex(table: Table) -> str:
    r"""Return a ``tabular`` for ``\input``; it needs the package booktabs."""
    levels = list(zip(*table.header, strict=True))
    columns = pd.MultiIndex.from_arrays(levels) if len(levels) > 1 else pd.Index(levels[0])
    texts = [[_one_line(cell.text) for cell in row] for row in table.rows]
    frame = pd.DataFrame(texts, columns=columns)
    bold = [["textbf:--rwrap;" if cell.strong else "" for cell in row] for row in table.rows]
    style = frame.style.hide(axis="index").format(escape="latex")
    style = style.format_index(escape="latex", axis="columns")
    style = style.apply(lambda shown: pd.DataFrame(bold, columns=shown.columns), axis=None)
    alignment = "l" * table.labels + "r" * (len(table.header) - table.labels)
    tabular = style.to_latex(hrules=True, column_format=alignment, multicol_align="c")
    notes = (_one_line(table.caption), f"Needs booktabs. The runs: {table.name}.csv")
    head = "".join(f"% {note}\n" for note in notes)
    return head + _set_apart(tabular, table.references).translate(_LATEX_SYMBOLS)


FORMATS = {"csv": to_csv, "md": to_markdown, "tex": to_latex}


def _set_apart(tabular: str, rows: int) -> str:
    """Put a rule below the first ``rows`` rows."""
    if not rows:
        return tabular
    lines = tabular.splitlines(keepends=True)
    lines.insert(lines.index("\\midrule\n") + 1 + rows, "\\midrule\n")
    return "".join(lines)


def _markdown(text: str) -> str:
    """Escape what Markdown would read as markup."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())
