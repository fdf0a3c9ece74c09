"""A table as it is read: cells that know which runs they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from distillery.reporting.formatting import DASH, setting, spread

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
        anchor: whether the page's links to its run lead here.
    """

    text: str
    order: float | None = None
    strong: bool = False
    runs: tuple[str, ...] = ()
    lists_runs: bool = False
    anchor: bool = False


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
        data: the same in long form, with all digits and with the keys of the runs.
        labels: number of leading columns that name the row.
        references: number of leading rows (teacher, baseline) that a rule sets apart.
        joint: what joins the levels of a header where only one line is possible.
    """

    name: str
    caption: str
    header: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Cell, ...], ...]
    data: pd.DataFrame
    labels: int = 1
    references: int = 0
    joint: str = " "

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


def mean_cell(row: Any, digits: int = 2, *, strong: bool = False) -> Cell:
    """Return the cell of a statistic: a row with ``mean``, ``std`` and ``runs``."""
    return Cell(spread(row.mean, row.std, digits), row.mean, strong, split_keys(row.runs))


def number_cell(value: float, runs: str, write: Callable[[float], str]) -> Cell:
    """Return the cell of a number that comes from these runs."""
    return Cell(write(value), value, runs=split_keys(runs))


def setting_cell(settings: Mapping[str, Any], name: str) -> Cell:
    """Return the cell of a setting, a dash where it is left as it was."""
    if name not in settings:
        return Cell(DASH)
    value = settings[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(setting(value), value if is_number else None)


def runs_cell(runs: str) -> Cell:
    """Return the cell that says how many runs a row comes from, and which."""
    keys = split_keys(runs)
    return Cell(str(len(keys)), len(keys), runs=keys, lists_runs=True)


def split_keys(runs: str) -> tuple[str, ...]:
    """Return the keys in a column ``runs``, each once."""
    return tuple(dict.fromkeys(runs.split()))


def flat_header(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return a header of one row."""
    return tuple((name,) for name in names)
