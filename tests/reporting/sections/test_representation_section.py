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

SECTION = registry.load("representation")

MEASURED = {
    "alignment": (0.6, 0.05),
    "uniformity": (-2.5, 0.1),
    "teacher_cka": (0.8, 0.02),
    "fidelity": (75.0, 1.0),
}


def measured(study: Study, entry: str = "geometry") -> Study:
    """Add made-up metrics to all networks."""
    random = np.random.default_rng(1)
    for row in study.rows:
        for metric, (mean, std) in MEASURED.items():
            row[f"{entry}/{metric}"] = float(random.normal(mean, std))
    return study


def drawn(results: Results) -> ReportFigure:
    styles = make_styles(results.labels, results.baseline)
    (only,) = SECTION.figures(results, "geometry", styles)
    return only


def test_the_table_has_a_row_a_network_and_a_column_a_metric(tmp_path: Path) -> None:
    results = read(measured(make_study()), tmp_path)
    (table,) = SECTION.tables(results, "geometry")
    assert [*table.header] == [
        ("Pair",),
        ("Method",),
        ("Alignment",),
        ("Uniformity",),
        ("CKA with teacher",),
        ("Fidelity (%)",),
        ("Runs",),
    ]
    assert [row[1].text for row in table.rows[:5]] == [
        "Teacher t0 (resnet56)",
        "Teacher t1 (resnet57)",
        "CE",
        "KD",
        "CRD + KD",
    ]
    assert len(table.rows) == 2 + 2 * 3
    assert table.references == 2


def test_cells_are_means_over_seeds_and_know_their_runs(tmp_path: Path) -> None:
    study = measured(make_study())
    (table,) = SECTION.tables(read(study, tmp_path), "geometry")
    rows = study.runs.query("table == 'main' and pair == 'p0' and method == 'kd'")
    alignment, runs = table.rows[3][2], table.rows[3][-1]
    assert alignment.order == pytest.approx(rows["geometry/alignment"].mean())
    std = rows["geometry/alignment"].std()
    assert alignment.text == f"{rows['geometry/alignment'].mean():.4f} ± {std:.4f}"
    assert alignment.runs == runs.runs == tuple(rows["key"])


def test_the_figure_has_a_panel_a_pair_and_a_point_a_method(tmp_path: Path) -> None:
    study = measured(make_study())
    figure = drawn(read(study, tmp_path)).figure
    assert [panel.get_title() for panel in figure.axes] == [
        "resnet56 → resnet20",
        "resnet57 → resnet21",
    ]
    rows = study.runs.query("table == 'main' and pair == 'p1' and method == 'ce'")
    points = [container[0].get_xydata()[0] for container in figure.axes[1].containers]
    expected = rows[["geometry/alignment", "geometry/uniformity"]].mean().tolist()
    assert any(point == pytest.approx(expected) for point in points)
    assert len(points) == 4
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["Teacher", "CE", "KD", "CRD + KD"]


@pytest.mark.parametrize(("methods", "has_bars"), [(10, True), (11, False)])
def test_many_methods_have_no_error_bars(tmp_path: Path, methods: int, has_bars: bool) -> None:
    names = {"ce": "CE", **{f"m{number}": f"M{number}" for number in range(methods - 1)}}
    shown = drawn(read(measured(make_study(methods=names, ablations={})), tmp_path))
    assert [container.has_xerr for container in shown.figure.axes[0].containers[1:]] == (
        [has_bars] * methods
    )
    assert ("standard deviation" in shown.caption) is has_bars


def test_pairs_that_were_not_measured_have_no_panel(tmp_path: Path) -> None:
    study = measured(make_study())
    for row in study.rows:
        if row["pair"] == "p0" or row["title"].startswith("t0"):
            for metric in MEASURED:
                row[f"geometry/{metric}"] = float("nan")
    results = read(study, tmp_path)
    assert [panel.get_title() for panel in drawn(results).figure.axes] == ["resnet57 → resnet21"]
    (table,) = SECTION.tables(results, "geometry")
    assert len(table.rows) == 1 + 3


def test_without_measurements_there_is_an_empty_table_and_a_word(tmp_path: Path) -> None:
    results = read(make_study(), tmp_path)
    (table,) = SECTION.tables(results, "geometry")
    assert table.rows == ()
    for write in writing.FORMATS.values():
        assert write(table)
    (panel,) = drawn(results).figure.axes
    assert panel.texts[0].get_text() == "No embeddings were measured."


def test_everything_declared_is_made(tmp_path: Path) -> None:
    results = read(measured(make_study()), tmp_path)
    names = [table.name for table in SECTION.tables(results, "geometry")]
    assert names == [drawn(results).name] == ["section-geometry"]
    assert len(SECTION.table_suffixes) == len(SECTION.figure_suffixes) == 1
