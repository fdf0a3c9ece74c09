"""A table as it is read: cells that know which runs they come from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it shows.
        order: what the page sorts by instead of the text.
        strong: whether it is the best of its kind.
        runs: keys of the runs that it comes from.
        lists_runs: whether the page lists the keys in the cell.
    """

    text: str
    order: float | None = None
    strong: bool = False
    runs: tuple[str, ...] = ()
    lists_runs: bool = False


class Span(NamedTuple):
    """A header cell: equal neighbours in an upper row are one."""

    text: str
    start: int
    width: int


@dataclass(frozen=True)
class Table:
    """A table as it is read, and the numbers behind it.

    Attributes:
        name: name of its files.
        caption: what it shows, in a sentence or two.
        header: the levels of each column's header, equally many for all columns.
        rows: the cells.
        data: the same in long form, with more digits and with the keys of the runs.
        labels: number of leading columns that name the row.
        references: number of leading rows (teacher, baseline) that a rule sets apart.
        joint: what joins the levels of a header where only one line is possible.
        notes: what is to be known beside the caption: what is bold, what was tested.
        experiment: name of the experiment that it belongs to.
    """

    name: str
    caption: str
    header: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Cell, ...], ...]
    data: pd.DataFrame
    labels: int = 1
    references: int = 0
    joint: str = " "
    notes: tuple[str, ...] = ()
    experiment: str = ""

    @property
    def label(self) -> str:
        """What references call the table, also beside those of other experiments."""
        return f"{self.experiment}-{self.name}" if self.experiment else self.name

    @property
    def levels(self) -> list[list[Span]]:
        """The header's rows from top to bottom."""
        *upper, last = zip(*self.header, strict=True)
        merged = [
            [list(group) for _, group in groupby(enumerate(level), key=itemgetter(1))]
            for level in upper
        ]
        rows = [[Span(group[0][1], group[0][0], len(group)) for group in row] for row in merged]
        return [*rows, [Span(text, start, 1) for start, text in enumerate(last)]]
