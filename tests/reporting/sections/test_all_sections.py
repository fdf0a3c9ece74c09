"""What every section does, whatever was measured: a new one is tested without being named here."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_results import make_study
from published import read
from varied_alone import with_varied_alone

from distillery.reporting import files
from distillery.reporting.figures.style import make_styles
from distillery.reporting.sections import registry
from distillery.reporting.sections.base import MetricsSection
from distillery.reporting.tables import writing

pytestmark = pytest.mark.usefixtures("in_theme")

ENTRY = "entry"
SECTIONS = pytest.mark.parametrize("name", registry.names())
METRICS = pytest.mark.parametrize(
    "name", [name for name in registry.names() if isinstance(registry.load(name), MetricsSection)]
)


def unmeasured(runs: pd.DataFrame) -> pd.DataFrame:
    return runs


def without_students(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["table"] != "main"]


def without_comparison(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[~runs["table"].isin(["main", "teachers"])]


def nothing(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.iloc[:0]


@SECTIONS
@pytest.mark.parametrize("left", [unmeasured, without_students, without_comparison, nothing])
def test_an_entry_without_rows_has_empty_tables_and_figures_that_say_so(
    tmp_path: Path, name: str, left: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    study = with_varied_alone(make_study(seeds=1), "temperature")
    whole = read(study, tmp_path)
    results = replace(whole, runs=left(whole.runs).reset_index(drop=True))
    section = registry.load(name)
    tables = section.tables(results, ENTRY)
    assert [table.name for table in tables] == [
        files.section(ENTRY, suffix) for suffix in section.table_suffixes
    ]
    for table in tables:
        assert table.rows == ()
        assert table.references == 0
        for write in writing.FORMATS.values():
            assert write(table)
    figures = list(section.figures(results, ENTRY, make_styles(results.labels, results.baseline)))
    assert [figure.name for figure in figures] == [
        files.section(ENTRY, suffix) for suffix in section.figure_suffixes
    ]
    # The strategies of the sphere are explained whether any was used or not.
    said = [figure.figure.axes[0].texts for figure in figures if "sphere" not in figure.name]
    assert all(texts for texts in said)


@SECTIONS
def test_it_is_titled_and_imports_nothing_that_computes(name: str) -> None:
    assert registry.load(name).title
    source = Path(importlib.import_module(registry.module_of(name)).__file__ or "").read_text()
    rooms = ("training", "evaluation", "embeddings", "data", "models", "planning", "experiment")
    assert not [room for room in rooms if f"distillery.{room}" in source]


@METRICS
def test_a_table_of_metrics_has_every_network_and_every_metric(tmp_path: Path, name: str) -> None:
    study, section = make_study(), registry.load(name)
    assert isinstance(section, MetricsSection)
    for number, row in enumerate(study.rows):
        if row["table"] != "temperature":
            row |= {f"{ENTRY}/{metric}": 1.0 + number for metric in section.metrics}
    (table,) = section.tables(read(study, tmp_path), ENTRY)
    headings = [heading for (heading,) in table.header]
    assert headings == ["Pair", "Method", *section.metrics.values(), "Runs"]
    assert (table.labels, table.references) == (2, 2)
    assert [row[1].text for row in table.rows] == [
        "Teacher t0 (resnet56)",
        "Teacher t1 (resnet57)",
        *("CE", "KD", "CRD + KD") * 2,
    ]
    # Rows 2 to 4 of the study are the seeds of the first student.
    assert all(cell.order == 4.0 for cell in table.rows[2][2:-1])
    assert all(len(cell.runs) == 3 for cell in table.rows[2][2:])
