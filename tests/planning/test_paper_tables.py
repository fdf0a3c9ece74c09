"""Tables of papers: their rows and columns, and which of our rows repeats a cell."""

from __future__ import annotations

from typing import Any

import pytest
from project import Project

from distillery.reporting.settings import PaperCell, PaperTable

CRD: dict[str, Any] = {
    "!data": {"source": "cifar100", "augmentation": {"pad": 4, "flip": True}},
    "!training": {},
    "!teachers": {"big": {"arch": "resnet56"}},
    "!pairs": {"p": {"teacher": "big", "student": "resnet20"}},
    "!methods": {"ce": {}, "crd": {}},
}
FSECD: dict[str, Any] = {
    **CRD,
    "!teachers": {"big": {"arch": "resnet32x4"}},
    "!pairs": {"p": {"teacher": "big", "student": "resnet8x4"}},
    "!methods": {"ce": {}, "fsecd": {}},
    "ablations": {
        "sizes": {
            "pair": "p",
            "method": "fsecd",
            "vary": {
                "options": {"level": ["instance", "class"]},
                "training": {"batch_size": [128, 512]},
            },
        }
    },
}


def tables(project: Project, changes: dict[str, Any]) -> dict[str, PaperTable]:
    found = project.plan(changes, "papers").report.published.tables
    return {table.name: table for table in found}


def cell(table: PaperTable, row: str, *column: str) -> PaperCell:
    (found,) = (each for each in table.rows if each.title == row)
    return found.cells[table.columns.index(column)]


def test_rows_and_columns_are_the_papers(shared_project: Project) -> None:
    table = tables(shared_project, CRD)["crd-1"]
    assert table.columns[0] == ("wrn_40_2", "wrn_16_2")
    assert len(table.columns) == 7
    titles = [row.title for row in table.rows]
    assert titles[:4] == ["Teacher", "CE", "KD", "FitNet"]
    assert titles[-1] == "CRD"
    # The authors have no number of FSP for a pair with unequal channels.
    assert cell(table, "FSP", "wrn_40_2", "wrn_40_1") == PaperCell()
    assert cell(table, "Teacher", "vgg13", "vgg8").published == 74.64


def test_what_is_repeated_is_found_and_the_rest_is_only_published(shared_project: Project) -> None:
    table = tables(shared_project, CRD)["crd-1"]
    ours = cell(table, "CRD", "resnet56", "resnet20")
    assert (ours.table, ours.pair, ours.method, ours.differs) == ("main", "p", "crd", "")
    assert ours.published == 71.16
    assert cell(table, "Teacher", "resnet56", "resnet20").table == "teachers"
    assert cell(table, "KD", "resnet56", "resnet20") == PaperCell(published=70.66)
    assert cell(table, "CRD", "vgg13", "vgg8").table == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"!training": {"epochs": 120}}, "120 epochs, not 240"),
        ({"!training": {"batch_size": 128}}, "batches of 128, not 64"),
        (
            {"!methods": {"crd": {"options": {"temperature": 0.1}}}},
            "weights or options are set otherwise",
        ),
    ],
)
def test_a_cell_says_what_differs(
    shared_project: Project, change: dict[str, Any], said: str
) -> None:
    table = tables(shared_project, {**CRD, **change})["crd-1"]
    assert said in cell(table, "CRD", "resnet56", "resnet20").differs


def test_policies_and_batch_sizes_of_fsecd_are_found_in_an_ablation(
    shared_project: Project,
) -> None:
    found = tables(shared_project, FSECD)
    table = found["fsecd-2"]
    pair = ("resnet32x4", "resnet8x4")
    ours = cell(table, "FSECD (classes)", *pair, "B = 512")
    assert (ours.table, ours.published, ours.differs) == ("sizes", 72.94, "")
    assert "class" in ours.variant
    assert cell(table, "CE", *pair, "B = 128") == PaperCell(published=72.50)
    assert "reconstruction" in table.source
    assert list(found) == ["crd-1", "fsecd-2"]


def test_other_data_have_none_and_absent_numbers_are_said_to_be_absent(
    shared_project: Project,
) -> None:
    changes = {"!methods": {"ce": {}, "aecrd": {}, "rtk": {}}}
    published = shared_project.plan(changes, "papers").report.published
    assert published.tables == ()
    assert "No published number of AECRD exists" in published.note
    assert "No published number of RTK was at hand" in published.note
