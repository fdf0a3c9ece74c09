"""Tables in the rows and columns of a paper's, with its numbers beside ours where they agree."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting import files
from distillery.reporting.formatting import DASH, number, spread
from distillery.reporting.results.collected import LAST, Results, records
from distillery.reporting.settings import PaperCell, PaperTable
from distillery.reporting.statistics import seeds
from distillery.reporting.tables import cells
from distillery.reporting.tables.model import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOW = (
    "Ours at the last epoch, mean ± standard deviation over seeds; in brackets what was published. "
    "A dash stands where nothing was run or published, a letter where ours is not comparable."
)
_COLUMNS = ["row", "column", "published", "n", "mean", "std", "differs", "runs"]


def paper_table(results: Results, table: PaperTable) -> Table:
    """Return a paper's table with our numbers in it."""
    reasons = _reasons(table)
    data = pd.DataFrame([*_data(results, table)], columns=_COLUMNS)
    found = iter(records(data))
    notes = [f"{letter}: {reason}." for reason, letter in reasons.items()]
    return Table(
        name=files.paper(table.name),
        caption=table.title,
        header=(
            ("",) * len(table.columns[0]),
            *table.columns,
        ),
        rows=tuple(
            (Cell(row.title), *(_cell(next(found), reasons) for _ in row.cells))
            for row in table.rows
        ),
        data=data,
        references=1 if table.rows[0].cells[0].table == "teachers" else 0,
        joint=" → ",
        notes=(_HOW, table.source, *notes),
    )


def _reasons(table: PaperTable) -> dict[str, str]:
    """Return what differs -> the letter that stands for it, in the order of the cells."""
    said = (cell.differs for row in table.rows for cell in row.cells if cell.differs)
    letters = [*string.ascii_lowercase, *(f"a{letter}" for letter in string.ascii_lowercase)]
    return dict(zip(dict.fromkeys(said), letters, strict=False))


def _data(results: Results, table: PaperTable) -> Iterator[dict[str, Any]]:
    for row in table.rows:
        for heading, cell in zip(table.columns, row.cells, strict=True):
            ours = seeds.over_runs(_runs(results, cell), ["table"], LAST)
            found = next(records(ours), None)
            yield {
                "row": row.title,
                "column": " / ".join(heading),
                "published": cell.published,
                "n": found.n if found else 0,
                "mean": found.mean if found else None,
                "std": found.std if found else None,
                "differs": cell.differs,
                "runs": found.runs if found else "",
            }


def _runs(results: Results, cell: PaperCell) -> pd.DataFrame:
    """Return the runs of a cell, none where nothing here repeats it."""
    if cell.table == "teachers":
        return results.teacher_of(cell.pair)
    runs = results.runs
    return runs[
        (runs["table"] == cell.table)
        & (runs["pair"] == cell.pair)
        & (runs["method"] == cell.method)
        & (runs["variant"] == cell.variant)
    ]


def _cell(row: Any, reasons: Mapping[str, str]) -> Cell:
    """Return what a cell shows: ours where it is comparable, and the published number."""
    has_ours = row.n > 0 and not row.differs
    ours = spread(row.mean, row.std) if has_ours else reasons.get(row.differs, DASH)
    text = ours if pd.isna(row.published) else f"{ours} ({number(row.published)})"
    return Cell(text, row.mean if has_ours else row.published, runs=cells.keys(row.runs))
