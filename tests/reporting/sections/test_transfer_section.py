from pathlib import Path

import numpy as np
import pytest
from made_up_results import Study, make_study
from published import read

from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry
from distillery.reporting.tables import writing

pytestmark = pytest.mark.usefixtures("in_theme")

SECTION = registry.load("transfer")

METRICS = ("probe_top1", "knn_top1")


def measured(study: Study, entry: str = "to-stl10") -> Study:
    """Add made-up accuracies to all networks."""
    random = np.random.default_rng(1)
    levels = {"": 68.0, "ce": 69.0, "kd": 70.5, "crd": 71.5}
    for row in study.rows:
        for step, metric in enumerate(METRICS):
            level = levels.get(row["method"], 70.0) - 6 * step
            row[f"{entry}/{metric}"] = float(random.normal(level, 0.3))
    return study


def drawn(results: Results) -> ReportFigure:
    styles = make_styles(results.labels, results.baseline)
    (only,) = SECTION.figures(results, "to-stl10", styles)
    return only


def test_the_table_has_teachers_and_methods_with_both_probes(tmp_path: Path) -> None:
    study = measured(make_study())
    (table,) = SECTION.tables(read(study, tmp_path), "to-stl10")
    assert [header[-1] for header in table.header] == [
        "Pair",
        "Method",
        "Linear probe (%)",
        "k-NN (%)",
        "Runs",
    ]
    assert len(table.rows) == 2 + 2 * 3
    rows = study.runs.query("table == 'main' and pair == 'p0' and method == 'kd'")
    for place, metric in enumerate(METRICS):
        values = rows[f"to-stl10/{metric}"]
        assert table.rows[3][2 + place].text == f"{values.mean():.2f} ± {values.std():.2f}"
        assert table.rows[3][2 + place].runs == tuple(rows["key"])


def test_the_figure_compares_the_linear_probes_of_each_pair(tmp_path: Path) -> None:
    study = measured(make_study())
    figure = drawn(read(study, tmp_path)).figure
    assert [panel.get_title() for panel in figure.axes] == [
        "resnet56 → resnet20",
        "resnet57 → resnet21",
    ]
    for number, panel in enumerate(figure.axes):
        runs = study.runs.query(f"table == 'main' and pair == 'p{number}'")
        means = runs.groupby("method", sort=False)["to-stl10/probe_top1"].mean()
        points = [container[0].get_xydata()[0].tolist() for container in panel.containers]
        assert points == [pytest.approx([mean, row]) for row, mean in enumerate(means)]
        teacher = study.rows[number]["to-stl10/probe_top1"]
        lines = {
            line.get_linestyle(): line.get_xdata()[0]
            for line in panel.lines
            if line.get_linestyle() in ("--", ":")
        }
        assert lines == {"--": pytest.approx(teacher), ":": pytest.approx(means["ce"])}
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert ticks == ["CE", "KD", "CRD + KD"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["mean ± one standard deviation", "single run", "teacher", "CE (baseline)"]


def test_only_what_was_measured_is_shown(tmp_path: Path) -> None:
    study = measured(make_study())
    for row in study.rows:
        if row["pair"] == "p0" or row["method"] in ("", "ce"):
            for metric in METRICS:
                row[f"to-stl10/{metric}"] = float("nan")
    results = read(study, tmp_path)
    figure = drawn(results).figure
    assert [panel.get_title() for panel in figure.axes] == ["resnet57 → resnet21"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["KD", "CRD + KD"]
    assert not [line for line in figure.axes[0].lines if line.get_linestyle() in ("--", ":")]
    (table,) = SECTION.tables(results, "to-stl10")
    assert [row[1].text for row in table.rows] == ["KD", "CRD + KD"]


def test_without_measurements_there_is_an_empty_table_and_a_word(tmp_path: Path) -> None:
    results = read(make_study(), tmp_path)
    (table,) = SECTION.tables(results, "to-stl10")
    assert table.rows == ()
    for write in writing.FORMATS.values():
        assert write(table)
    (panel,) = drawn(results).figure.axes
    assert panel.texts[0].get_text() == "No transfer was measured."


def test_everything_declared_is_made(tmp_path: Path) -> None:
    results = read(measured(make_study()), tmp_path)
    names = [table.name for table in SECTION.tables(results, "to-stl10")]
    assert names == [drawn(results).name] == ["section-to-stl10"]
    assert SECTION.table_suffixes == SECTION.figure_suffixes == ("",)
