"""Writes tables as text: CSV, Markdown and LaTeX. The page has its own template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distillery.reporting.formatting import markdown
from distillery.reporting.tables.latex import to_latex, to_tabular

if TYPE_CHECKING:
    from distillery.reporting.tables.model import Table

# What text begins with that spreadsheets compute.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def to_csv(table: Table) -> str:
    """Return the numbers in long form; no text of a cell is a formula in a spreadsheet."""
    plain = table.data.rename(columns=_not_a_formula).map(_not_a_formula)
    return plain.to_csv(index=False, lineterminator="\n")


def to_markdown(table: Table) -> str:
    """Return a table for GitHub and for plain reading."""
    header = [markdown(table.joint.join(filter(None, levels))) for levels in table.header]
    rules = [":--" if column < table.labels else "--:" for column in range(len(header))]
    rows = [
        [f"**{markdown(cell.text)}**" if cell.strong else markdown(cell.text) for cell in row]
        for row in table.rows
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rules, *rows)]
    said = " ".join([table.caption, *table.notes, f"The runs behind each number: {table.name}.csv"])
    return "\n".join([*lines, "", markdown(said), ""])


FORMATS = {"csv": to_csv, "md": to_markdown, "tex": to_latex, "tabular.tex": to_tabular}


def _not_a_formula(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would compute, as OWASP says."""
    is_formula = isinstance(value, str) and value.startswith(_FORMULAS)
    return f"'{value}" if is_formula and not _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
