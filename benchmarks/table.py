"""Tables of measurements: as text, and in a document, where each measure has a section.

The sections stand between two comments. What is measured again replaces its own section alone, so
that a long measurement can be made in parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from benchmarks.rows import Row
from distillery.core.errors import UserError
from distillery.core.files import write_atomically

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_HEADER = "| what | measured | quartiles | target | note |\n|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Block:
    """The table of one measure.

    Attributes:
        name: of the measure.
        title: what it is about.
        machine: what it was measured on.
        rows: its numbers.
    """

    name: str
    title: str
    machine: str
    rows: tuple[Row, ...]


def title(module: ModuleType) -> str:
    """Return the first line of a measure's docstring."""
    return (module.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def plain(block: Block) -> str:
    """Return the table for a terminal."""
    lines = [f"{block.name}: {block.title}", f"  {block.machine}"]
    for row in block.rows:
        label, value, spread, target, note = _cells(row)
        lines.append(f"  {label:56} {value:>12} {spread:>16} {target:>8}  {note}")
    return "\n".join(lines)


def markdown(block: Block) -> str:
    """Return the section of a document."""
    lines = "".join(f"| {' | '.join(_cells(row))} |\n" for row in block.rows)
    return f"### `{block.name}`: {block.title}\n\n{_HEADER}{lines}\n({block.machine})\n"


def put(document: Path, block: Block) -> None:
    """Replace a measure's section of a document, or add it; sections are in order of their names.

    Raises:
        UserError: the document has no place for measurements.
    """
    before, middle, after = _parts(document)
    sections = _sections(middle)
    sections[block.name] = markdown(block)
    body = "\n".join(sections[name].strip() + "\n" for name in sorted(sections))
    text = f"{before}{BEGIN}\n\n{body}\n{END}{after}"
    write_atomically(document, text.encode())


def documented(document: Path, name: str) -> dict[str, float]:
    """Return the numbers that a document gives for a measure, by label.

    Raises:
        UserError: the document has none.
    """
    section = _sections(_parts(document)[1]).get(name)
    if section is None:
        raise UserError(f"{document}: no table of '{name}'")
    cells = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in section.splitlines()
        if line.startswith("| ")
    ]
    return {label: float(value.split()[0].replace(",", "")) for label, value, *_ in cells[1:]}


def _parts(document: Path) -> tuple[str, str, str]:
    text = document.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    middle, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{document}: lacks the lines '{BEGIN}' and '{END}'")
    return before, middle, after


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^(?=### `)", text, flags=re.MULTILINE)[1:]
    return {part.split("`")[1]: part for part in parts}


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    """Return what a row shows in the columns of the header."""
    spread, target = row.get("spread"), row["target"]
    return (
        row["label"],
        f"{_number(row['value'])} {row.get('unit', '')}".strip(),
        "–".join(_number(end) for end in spread) if spread else "",
        "" if target is None else f"{'≤' if row.get('at_most') else '≥'} {target:g}",
        row.get("note", ""),
    )


def _number(value: float) -> str:
    """Return three digits that count, without powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
