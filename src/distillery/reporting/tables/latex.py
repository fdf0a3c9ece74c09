r"""Writes tables as LaTeX: complete ``table`` environments, and the bare ``tabular`` of each.

Columns of numbers are aligned by siunitx. A table that is too wide lies on its side; one that is
too wide even for that, or too long, comes in several parts, which are floats of one number.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from distillery.core.latex import SYMBOLS, escaped
from distillery.reporting.formatting import DASH, one_line

if TYPE_CHECKING:
    from distillery.reporting.tables.model import Cell, Table

PACKAGES = ("booktabs", "siunitx", "array", "threeparttable", "rotating", "caption")
"""What a document needs to load for these files."""

# What is left after pandas' escaping and not in every font.
_SYMBOLS = str.maketrans(SYMBOLS)
_NUMBER = re.compile(r"([-+]?)(\d+)(?:\.(\d+))?(?: ± (\d+)(?:\.(\d+))?)?")
# In characters. What is wider than a page is set smaller, then on its side, then divided.
_PAGE, _SMALL_PAGE, _SIDEWAYS = 82, 100, 140
# What lines have beyond, for the gaps between columns.
_SPARE = 8
_LONGEST_HEAD = 13
# Text of more characters is broken into lines, in a column of what is left, but of this at least.
_LONG_TEXT, _NARROWEST_TEXT = 34, 24
# Rows of a part.
_ROWS, _ROWS_SIDEWAYS = 38, 24
_SETUP = (
    r"\sisetup{detect-weight=true, mode=text, retain-explicit-plus=true, "
    r"separate-uncertainty=true}"
)


def to_latex(table: Table) -> str:
    r"""Return a float, or several of one number, for ``\input``."""
    parts = _parts(table)
    floats = [_float(table, part, number, len(parts)) for number, part in enumerate(parts)]
    return "\n".join([_head(table, PACKAGES), *floats])


def to_tabular(table: Table) -> str:
    r"""Return the ``tabular`` alone, or one for each part of a wide or long table."""
    shown = [f"{{{_SETUP}\n{part.tabular}}}\n" for part in _parts(table)]
    return "\n".join([_head(table, PACKAGES[:3]), *shown])


def _head(table: Table, packages: Sequence[str]) -> str:
    return f"% Needs {', '.join(packages)}. The runs: {table.name}.csv"


def _float(table: Table, part: _Part, number: int, parts: int) -> str:
    kind = "sidewaystable" if part.is_sideways else "table"
    caption, short = escaped(table.caption), escaped(re.split(r"(?<=\.) ", table.caption)[0])
    body = part.tabular
    if number:
        title = rf"\ContinuedFloat\caption[]{{{short} (continued, part {number + 1} of {parts})}}"
    else:
        title = rf"\caption[{short}]{{{caption}}}" + "\n" + rf"\label{{tab:{table.label}}}"
    if table.notes and number + 1 == parts:
        notes = "\n".join(rf"\item {escaped(note)}" for note in table.notes)
        body += f"\\begin{{tablenotes}}[flushleft]\\footnotesize\n{notes}\n\\end{{tablenotes}}\n"
    if table.notes:
        body = f"\\begin{{threeparttable}}\n{title}\n{body}\\end{{threeparttable}}\n"
    else:
        body = f"{title}\n{body}"
    size = "\\footnotesize\n" if part.width > _PAGE else ""
    where = "" if kind == "sidewaystable" else "[htbp]"
    return f"\\begin{{{kind}}}{where}\n\\centering\n{size}{_SETUP}\n{body}\\end{{{kind}}}\n"


@dataclass(frozen=True)
class _Part:
    """Some columns and rows of a table, as they fit on a page."""

    header: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Cell, ...], ...]
    labels: int
    references: int

    @property
    def columns(self) -> list[list[str]]:
        """The texts of each column."""
        return [[row[place].text for row in self.rows] for place in range(len(self.header))]

    @cached_property
    def widths(self) -> list[int]:
        """The width of each column in characters, with the gap beside it."""
        widths = [
            2 + max([_width_of_head(heading[-1]), *map(len, texts)])
            for heading, texts in zip(self.header, self.columns, strict=True)
        ]
        long = [place for place in range(self.labels) if widths[place] > _LONG_TEXT + 2]
        others = sum(width for place, width in enumerate(widths) if place not in long)
        for place in long:
            widths[place] = max(_NARROWEST_TEXT, (_PAGE - others) // len(long))
        return widths

    @property
    def width(self) -> int:
        """The width of all columns in characters."""
        return sum(self.widths)

    @property
    def is_sideways(self) -> bool:
        """Whether it is too wide for a page that stands upright."""
        return self.width > _SMALL_PAGE

    @cached_property
    def formats(self) -> list[str]:
        """What aligns each column: ``S`` of siunitx, ``r``, ``l`` or ``p`` for long text."""
        upright = _PAGE if self.width <= _PAGE else _SMALL_PAGE
        line = (_SIDEWAYS if self.is_sideways else upright) + _SPARE
        return [
            _text_format(texts, width / line) if place < self.labels else _number_format(texts)
            for place, (texts, width) in enumerate(zip(self.columns, self.widths, strict=True))
        ]

    @cached_property
    def tabular(self) -> str:
        """The ``tabular`` environment."""
        names = _names(self.header)
        texts = [
            [_text(cell.text, kind) for cell, kind in zip(row, self.formats, strict=True)]
            for row in self.rows
        ]
        bold = [["bfseries:;" if cell.strong else "" for cell in row] for row in self.rows]
        frame = pd.DataFrame(texts, columns=names, dtype=object)
        written = [name for name, kind in zip(names, self.formats, strict=True) if kind[0] != "S"]
        style = frame.style.hide(axis="index").format(
            escape="latex", subset=pd.IndexSlice[:, written]
        )
        style = style.apply(lambda shown: pd.DataFrame(bold, columns=shown.columns), axis=None)
        style = style.format_index(_broken, escape="latex", axis="columns")
        text = style.to_latex(
            hrules=True, siunitx=True, column_format="".join(self.formats), multicol_align="c"
        )
        # The first line says how columns are aligned.
        begin, _, body = _set_apart(text, self.references).partition("\n")
        return f"{begin}\n{body.translate(_SYMBOLS)}"


def _parts(table: Table) -> list[_Part]:
    """Return the table in parts that fit on a page each."""
    whole = _Part(table.header, table.rows, table.labels, table.references)
    return [
        part for chosen in _column_groups(whole) for part in _row_groups(_of_columns(whole, chosen))
    ]


def _of_columns(whole: _Part, chosen: Sequence[int]) -> _Part:
    return replace(
        whole,
        header=tuple(whole.header[column] for column in chosen),
        rows=tuple(tuple(row[column] for column in chosen) for row in whole.rows),
    )


def _row_groups(whole: _Part) -> list[_Part]:
    """Return a part of all rows, or several of as many as fit."""
    most = _ROWS_SIDEWAYS if whole.is_sideways else _ROWS
    return [
        replace(
            whole,
            rows=whole.rows[start : start + most],
            references=whole.references if start == 0 else 0,
        )
        for start in range(0, max(len(whole.rows), 1), most)
    ]


def _names(header: Sequence[Sequence[str]]) -> pd.Index:
    """Return the headings as an index without duplicates: LaTeX skips spaces at their end."""
    levels = [list(level) for level in zip(*header, strict=True)]
    seen: dict[str, int] = {}
    for place, name in enumerate(levels[-1]):
        seen[name] = seen.get(name, -1) + 1
        levels[-1][place] = name + " " * seen[name]
    return pd.MultiIndex.from_arrays(levels) if len(levels) > 1 else pd.Index(levels[0])


def _column_groups(whole: _Part) -> list[list[int]]:
    """Return the columns of each part: all, or the labels with as many others as fit."""
    every = list(range(len(whole.header)))
    if whole.width <= _SIDEWAYS or len(every) <= whole.labels + 1:
        return [every]
    labels, rest = every[: whole.labels], every[whole.labels :]
    named = sum(whole.widths[: whole.labels])
    # Where the labels alone take most of an upright page, the parts lie on their sides, too.
    page = _SMALL_PAGE if 2 * named <= _SMALL_PAGE else _SIDEWAYS
    room = max(page - named, *whole.widths[whole.labels :])
    count = math.ceil(sum(whole.widths[column] for column in rest) / room)
    size = math.ceil(len(rest) / count)
    return [[*labels, *rest[start : start + size]] for start in range(0, len(rest), size)]


def _text_format(texts: Sequence[str], share: float) -> str:
    """Return how text is aligned; long text gets a share of the line."""
    if max(map(len, texts), default=0) <= _LONG_TEXT:
        return "l"
    return rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"


def _number_format(texts: Sequence[str]) -> str:
    found = [_NUMBER.fullmatch(_ascii(text)) for text in texts if text != DASH]
    if not found or not all(found):
        return "r"
    known = [match for match in found if match]
    sign = "+" if any(match[1] for match in known) else ""
    whole = max(len(match[2]) for match in known)
    decimals = max(len(match[3] or "") for match in known)
    deviations = [match for match in known if match[4]]
    uncertain = max(
        (len(f"{match[4]}{match[5] or ''}".lstrip("0") or "0") for match in deviations), default=0
    )
    spread = f"({uncertain})" if uncertain else ""
    return f"S[table-format={sign}{whole}{f'.{decimals}' if decimals else ''}{spread}]"


def _text(text: str, kind: str) -> str:
    """Return a cell; one of a column of numbers that is none is in braces."""
    if not kind.startswith("S"):
        return one_line(text)
    plain = _ascii(text)
    return plain.replace("±", r"\pm") if _NUMBER.fullmatch(plain) else f"{{{text}}}"


def _ascii(text: str) -> str:
    return text.replace("−", "-").replace("\u202f", "")


def _broken(head: object) -> str:
    """Break a long heading into lines; it is escaped already."""
    lines = _lines(str(head))
    if len(lines) < 2:
        return str(head)
    return "\\shortstack{" + r"\\".join(lines) + "}"


def _width_of_head(head: str) -> int:
    return max(map(len, _lines(head)), default=0)


def _lines(head: str) -> list[str]:
    return textwrap.wrap(head, _LONGEST_HEAD, break_long_words=False, break_on_hyphens=False)


def _set_apart(tabular: str, rows: int) -> str:
    """Put a rule below the first ``rows`` rows."""
    if not rows:
        return tabular
    lines = tabular.splitlines(keepends=True)
    lines.insert(lines.index("\\midrule\n") + 1 + rows, "\\midrule\n")
    return "".join(lines)
