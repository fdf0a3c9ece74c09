from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_results import Study, make_study
from published import read

from distillery.reporting import files
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry
from distillery.reporting.tables import writing

pytestmark = pytest.mark.usefixtures("in_theme")

SECTION = registry.load("deployment")

ENTRY = "export"


def exported(row: dict[str, Any], number: int) -> dict[str, float]:
    """Made-up figures of one network: a student is a third of its teacher, int8 a quarter."""
    size, latency = (6.0, 2.4) if row["table"] == "teachers" else (2.0, 0.8)
    latency += 0.001 * number
    found: dict[str, float] = {}
    for kind, share, loss in (("float", 1.0, 0.0), ("int8", 0.25, 0.4)):
        found |= {
            f"{kind}_mb": size * share,
            f"{kind}_ms": latency * (1 + share) / 2,
            f"{kind}_ms_q1": latency * (1 + share) / 2 - 0.01,
            f"{kind}_ms_q3": latency * (1 + share) / 2 + 0.02,
            f"{kind}_top1": row["test_top1"] - loss,
        }
    return found | {"agreement": 98.2, "largest_difference": 1e-6, "opset": 20.0}


def measured(study: Study) -> Study:
    """Add made-up metrics to all networks."""
    for number, row in enumerate(study.rows):
        row.update({f"{ENTRY}/{name}": value for name, value in exported(row, number).items()})
    return study


def drawn(results: Results) -> dict[str, ReportFigure]:
    styles = make_styles(results.labels, results.baseline)
    return {each.name: each for each in SECTION.figures(results, ENTRY, styles)}


def test_the_table_compares_students_with_their_teachers(tmp_path: Path) -> None:
    study = measured(make_study())
    (table,) = SECTION.tables(read(study, tmp_path), ENTRY)
    assert [row[1].text for row in table.rows[:4]] == [
        "Teacher t0 (resnet56)",
        "Teacher t1 (resnet57)",
        "CE",
        "KD",
    ]
    assert (len(table.rows), table.references) == (2 + 2 * 3, 2)
    kd = [cell.text for cell in table.rows[3]]
    assert (kd[2], kd[5], kd[7], kd[10]) == ("2.000", "3.0×", "0.5000", "12.0×")
    assert [cell.text for cell in table.rows[0][5:7]] == ["1.0×", "1.0×"]
    assert all(len(row) == len(table.header) for row in table.rows)


def test_gains_are_over_the_students_own_teacher(tmp_path: Path) -> None:
    study = measured(make_study())
    for row in study.rows:
        if row["title"].startswith("t1 "):
            row[f"{ENTRY}/float_ms"] = 8.0
    (table,) = SECTION.tables(read(study, tmp_path), ENTRY)
    rows = study.runs.query("table == 'main' and pair == 'p1' and method == 'crd'")
    faster = table.rows[7][6]
    assert faster.order == pytest.approx((8.0 / rows[f"{ENTRY}/float_ms"]).mean())
    assert faster.runs == tuple(rows["key"])


def test_cells_are_means_over_seeds(tmp_path: Path) -> None:
    study = measured(make_study())
    (table,) = SECTION.tables(read(study, tmp_path), ENTRY)
    rows = study.runs.query("table == 'main' and pair == 'p0' and method == 'ce'")
    accuracy = rows[f"{ENTRY}/int8_top1"]
    assert table.header[9] == ("8-bit integers", "Top-1 (%)")
    assert table.rows[2][9].text == f"{accuracy.mean():.2f} ± {accuracy.std():.2f}"
    assert table.rows[2][9].runs == tuple(rows["key"])


def test_the_figures_join_both_files_of_each_network(tmp_path: Path) -> None:
    study = measured(make_study())
    figures = drawn(read(study, tmp_path))
    rows = study.runs.query("table == 'main' and pair == 'p1' and method == 'kd'")
    for name, measure in (("latency", "ms"), ("size", "mb")):
        panel = figures[files.section(ENTRY, name)].figure.axes[1]
        joined = [line.get_xydata() for line in panel.get_lines() if len(line.get_xdata()) == 2]
        assert len(joined) == 4
        expected = [
            rows[[f"{ENTRY}/{kind}_{measure}", f"{ENTRY}/{kind}_top1"]].mean().tolist()
            for kind in ("float", "int8")
        ]
        assert any(np.allclose(ends, expected) for ends in joined)
        assert panel.get_xlim()[0] == 0


def test_the_legend_tells_both_kinds_apart(tmp_path: Path) -> None:
    figure = drawn(read(measured(make_study()), tmp_path))[files.section(ENTRY, "size")].figure
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["Teacher", "CE", "KD", "CRD + KD", "32-bit floats", "8-bit integers"]


@pytest.mark.parametrize("is_empty", [False, True])
def test_all_declared_files_are_always_made(tmp_path: Path, is_empty: bool) -> None:
    results = read(make_study(), tmp_path)
    if is_empty:
        results = replace(results, runs=results.runs.iloc[:0])
    (table,) = SECTION.tables(results, ENTRY)
    assert (table.name, table.rows) == (files.section(ENTRY), ())
    assert writing.to_markdown(table)
    assert writing.to_latex(table)
    names = [files.section(ENTRY, suffix) for suffix in SECTION.figure_suffixes]
    assert list(drawn(results)) == names


def test_a_student_whose_teacher_was_not_exported_has_no_gain(tmp_path: Path) -> None:
    study = measured(make_study(pairs=1))
    for name in exported(study.rows[0], 0):
        del study.rows[0][f"{ENTRY}/{name}"]
    results = read(study, tmp_path)
    (table,) = SECTION.tables(results, ENTRY)
    assert table.references == 0
    assert [table.rows[0][place].text for place in (5, 6, 10, 11)] == ["–"] * 4
    assert table.rows[0][2].text == "2.000"
