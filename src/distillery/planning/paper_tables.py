"""Tables of papers in their own rows and columns, with what of them an experiment repeats.

CRD's tables 1 and 2 are those of ``published``; ``published_tables.csv`` has their teachers, and
table 2 of FSECD (Ye, Chen and Lai 2023) from the excerpt on the journal's page,
https://zrb.bjb.scut.edu.cn/EN/Y2023/V51/I5/13. A table is shown by experiments that train at least
one of its students on its data set.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from distillery.experiment.experiment import Experiment
from distillery.methods import registry as methods
from distillery.planning import published
from distillery.planning.runs import Runs
from distillery.planning.students import Student
from distillery.reporting.settings import PaperCell, PaperRow, PaperTable
from distillery.training.settings import Training

MAIN = "main"
"""Table of the comparison."""
_TEACHER = "teacher"
_CRD_SOURCE = "Published: Tian et al. 2020, as the authors' code lists it."
_FSECD_SOURCE = (
    "Published: Ye, Chen and Lai 2023, table 2, from the excerpt on the journal's page. FSECD is a "
    "reconstruction here, and the paper's rule for the learning rate of other batches than 64 is "
    "not known. The published 73.26 of CE at 128 is CRD's number of wrn_16_2 and may be a slip."
)
_OTHERWISE = "weights or options are set otherwise"


class Shown(NamedTuple):
    """A student of the report, before seeds.

    Attributes:
        table: ``main``, or the id of an ablation.
        student: the student.
        variant: what an ablation varies: dotted name -> value.
    """

    table: str
    student: Student
    variant: Mapping[str, Any]


@dataclass(frozen=True)
class _Published:
    """A published number: what was trained, and its accuracy.

    ``level`` is FSECD's policy; without a ``batch_size`` the table does not vary it.
    """

    teacher: str
    student: str
    method: str
    top1: float
    level: str = ""
    batch_size: int | None = None

    @property
    def column(self) -> tuple[str, ...]:
        return (self.teacher, self.student)

    @property
    def training(self) -> Training:
        return Training(lr=published.rate_of(self.student), batch_size=self.batch_size or 64)

    def is_of(self, experiment: Experiment, shown: Shown) -> bool:
        """Tell whether a student has these networks, this method and what the table varies."""
        student = shown.student
        names = (experiment.teachers[student.teachers[0]].arch, student.pair.student)
        return (
            names == (self.teacher, self.student)
            and student.method_name == self.method
            and getattr(student.options, "level", "") == self.level
            and self.batch_size in (None, student.training.batch_size)
        )


def paper_tables(
    experiment: Experiment, runs: Runs, shown: Sequence[Shown]
) -> tuple[PaperTable, ...]:
    """Return the tables that an experiment repeats a part of.

    Args:
        experiment: the experiment.
        runs: those that it needs.
        shown: the students of its comparison and ablations.
    """
    if published.DATA not in {data.source for data in experiment.data_sets.values()}:
        return ()
    known = _Known(experiment, runs, shown)
    tables = (known.crd(1), known.crd(2), known.fsecd())
    return tuple(table for table in tables if any(cell.method for cell in _cells(table)))


class _Known:
    """What an experiment trains, to be looked up for each cell."""

    def __init__(self, experiment: Experiment, runs: Runs, shown: Sequence[Shown]) -> None:
        self._experiment, self._runs = experiment, runs
        self._shown = [each for each in shown if len(each.student.teachers) == 1]

    def crd(self, number: int) -> PaperTable:
        """Return a table of CRD: methods down, pairs across."""
        table = f"crd-{number}"
        numbers = [
            _Published(teacher, student, method, top1)
            for (teacher, student, method), (name, top1) in published.table().items()
            if name == f"table {number}"
        ]
        columns = [*dict.fromkeys(each.column for each in numbers if each.method == "kd")]
        by_place = {(each.method, each.column): each for each in numbers}
        teachers = {row["teacher"]: float(row["top1"]) for row in _rows(table)}
        rows = [
            PaperRow(
                title="Teacher",
                cells=tuple(self._teacher(column, teachers[column[0]]) for column in columns),
            )
        ]
        for method in dict.fromkeys(each.method for each in numbers):
            found = (by_place.get((method, column)) for column in columns)
            rows.append(PaperRow(title=_title(method), cells=tuple(map(self._cell, found))))
        return PaperTable(
            name=table,
            title=f"Table {number} of CRD: test top-1 accuracy (%) on CIFAR-100.",
            source=_CRD_SOURCE,
            columns=tuple(columns),
            rows=tuple(rows),
        )

    def fsecd(self) -> PaperTable:
        """Return table 2 of FSECD: policies down, pairs and batch sizes across."""
        numbers = [
            _Published(
                row["teacher"],
                row["student"],
                row["method"],
                float(row["top1"]),
                row["level"],
                int(row["batch_size"]),
            )
            for row in _rows("fsecd-2")
        ]
        columns = [*dict.fromkeys((*each.column, str(each.batch_size)) for each in numbers)]
        titles = {"": "CE", "class": "FSECD (classes)", "instance": "FSECD (instances)"}
        by_place = {(each.level, (*each.column, str(each.batch_size))): each for each in numbers}
        return PaperTable(
            name="fsecd-2",
            title="Table 2 of FSECD: test top-1 (%) on CIFAR-100 by policy and batch size.",
            source=_FSECD_SOURCE,
            columns=tuple((*column[:2], f"B = {column[2]}") for column in columns),
            rows=tuple(
                PaperRow(
                    title=title,
                    cells=tuple(self._cell(by_place.get((level, column))) for column in columns),
                )
                for level, title in titles.items()
            ),
        )

    def _cell(self, wanted: _Published | None) -> PaperCell:
        if wanted is None:
            return PaperCell()
        candidates = [each for each in self._shown if wanted.is_of(self._experiment, each)]
        if not candidates:
            return PaperCell(published=wanted.top1)
        differing = [[*self._differences(wanted, each)] for each in candidates]
        place = min(range(len(candidates)), key=lambda index: len(differing[index]))
        best = candidates[place]
        return PaperCell(
            published=wanted.top1,
            table=best.table,
            pair=best.student.pair_id,
            method=best.student.entry_id,
            variant=json.dumps(best.variant, sort_keys=True),
            differs="; ".join(differing[place]),
        )

    def _differences(self, wanted: _Published, shown: Shown) -> Iterator[str]:
        student = shown.student
        yield from published.differences(self._experiment, self._runs, student, wanted.training)
        varied = {"level": wanted.level} if wanted.level else {}
        if not published.is_default(student, **varied):
            yield _OTHERWISE

    def _teacher(self, column: tuple[str, ...], top1: float) -> PaperCell:
        """Return the cell of a teacher, which any student of the pair leads to."""
        for shown in self._shown:
            teacher = self._experiment.teachers[shown.student.teachers[0]]
            if (teacher.arch, shown.student.pair.student) == column and shown.table == MAIN:
                student = shown.student
                found = published.differences(self._experiment, self._runs, student, None)
                return PaperCell(
                    published=top1,
                    table="teachers",
                    pair=student.pair_id,
                    differs="; ".join(found),
                )
        return PaperCell(published=top1)


def _cells(table: PaperTable) -> Iterable[PaperCell]:
    return (cell for row in table.rows for cell in row.cells)


def _title(method: str) -> str:
    return methods.load(method).title


@cache
def _rows(table: str) -> tuple[dict[str, str], ...]:
    text = files("distillery.planning").joinpath("published_tables.csv").read_text("utf-8")
    return tuple(row for row in csv.DictReader(text.splitlines()) if row["table"] == table)
