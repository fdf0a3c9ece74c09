"""Every section makes what it declares, whatever rows there are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_results import make_study
from published import read
from varied_alone import with_varied_alone

from distillery.reporting import drawing, files, rendering
from distillery.reporting.sections import registry

pytestmark = pytest.mark.usefixtures("in_theme")

ENTRY = "entry"


def unmeasured(runs: pd.DataFrame) -> pd.DataFrame:
    return runs


def without_students(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["table"] != "main"]


def without_comparison(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[~runs["table"].isin(["main", "teachers"])]


def nothing(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.iloc[:0]


@pytest.mark.parametrize("name", registry.names())
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
        files.section(ENTRY, suffix) for suffix in section.TABLES
    ]
    for table in tables:
        assert table.rows == ()
        assert table.references == 0
        for write in rendering.FORMATS.values():
            assert write(table)
    looks = drawing.styles(results.labels, results.baseline)
    figures = list(section.figures(results, ENTRY, looks))
    assert [figure.name for figure in figures] == [
        files.section(ENTRY, suffix) for suffix in section.FIGURES
    ]
    # The strategies of the sphere are explained whether any was used or not.
    said = [figure.figure.axes[0].texts for figure in figures if "sphere" not in figure.name]
    assert all(texts for texts in said)
