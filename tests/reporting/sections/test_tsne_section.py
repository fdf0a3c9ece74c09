from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_results import Study, make_study, with_teachers
from published import read

from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry, tsne

pytestmark = pytest.mark.usefixtures("in_theme")

SECTION = registry.load("tsne")

ENTRY = "map"


def places(run: str, classes: int, network: str, seed: int, images: int = 20) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    label = np.arange(classes * images) % classes
    turn = 2 * np.pi * label / classes
    noise = random.normal(0, 4, (2, len(label)))
    return pd.DataFrame(
        {
            "network": network,
            "image": np.arange(len(label)),
            "label": label,
            "class": [f"class {number}" for number in label],
            "x": 30 * np.cos(turn) + noise[0],
            "y": 30 * np.sin(turn) + noise[1],
            "run": run,
        }
    )


def results_of(study: Study, folder: Path, classes: int = 10, joint: bool = False) -> Results:
    """Publish a study with a made-up map for each network."""
    details = []
    for number, row in enumerate(study.rows):
        details.append(places(row["run"], classes, "own", number))
        if joint and row["method"]:
            details.append(places(row["run"], classes, "teacher", number + 10_000))
        row[f"{ENTRY}/silhouette"] = 0.3 + number / 1000
        row[f"{ENTRY}/knn_accuracy"] = 80.0
    results = read(study, folder)
    return replace(results, found={ENTRY: with_teachers(results, pd.concat(details))})


def drawn(results: Results) -> ReportFigure:
    styles = make_styles(results.labels, results.baseline)
    (only,) = SECTION.figures(results, ENTRY, styles)
    return only


def legend(figure: ReportFigure) -> list[str]:
    return [text.get_text() for text in figure.figure.legends[0].get_texts()]


def test_the_teacher_and_each_method_have_a_panel(tmp_path: Path) -> None:
    shown = drawn(results_of(make_study(), tmp_path))
    titles = [panel.get_title() for panel in shown.figure.axes]
    assert titles == ["Teacher", "CE", "KD", "CRD + KD"]
    assert legend(shown) == [f"class {number}" for number in range(10)]
    assert shown.name == "section-map"


def test_panels_show_the_first_seed(tmp_path: Path) -> None:
    study = make_study()
    results = results_of(study, tmp_path)
    run = study.runs.query("table == 'main' and pair == 'p0' and method == 'kd' and seed == 0")
    expected = results.found[ENTRY].query(f"run == '{run['run'].item()}' and label == 4")
    dots = drawn(results).figure.axes[2].collections[4]
    assert np.array_equal(np.asarray(dots.get_offsets()), expected[["x", "y"]].to_numpy())


def test_a_class_has_one_colour_in_all_panels(tmp_path: Path) -> None:
    panels = drawn(results_of(make_study(), tmp_path)).figure.axes
    colours = {tuple(panel.collections[6].get_facecolor()[0]) for panel in panels}
    assert len(colours) == 1
    others = {tuple(dots.get_facecolor()[0]) for dots in panels[0].collections}
    assert len(others) == 10


def test_classes_beyond_ten_differ_by_marker() -> None:
    styles = tsne.class_styles([*range(3, 28)])
    assert styles[3]["color"] == styles[13]["color"] == styles[23]["color"]
    assert len({(style["color"], style["marker"]) for style in styles.values()}) == 25


def test_a_joint_map_shows_the_teacher_beside_the_student(tmp_path: Path) -> None:
    shown = drawn(results_of(make_study(), tmp_path, joint=True))
    teacher, student = shown.figure.axes[:2]
    assert (len(teacher.collections), len(student.collections)) == (10, 20)
    assert legend(shown)[-1] == "teacher"
    assert "Crosses are the teacher’s" in shown.caption
    assert "Crosses" not in drawn(results_of(make_study(), tmp_path / "own")).caption


def test_many_points_are_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = results_of(make_study(), tmp_path)
    assert not drawn(results).figure.axes[0].collections[0].get_rasterized()
    monkeypatch.setattr(tsne, "_MOST_VECTORS", 799)
    assert drawn(results).figure.axes[0].collections[0].get_rasterized()


def test_the_table_has_means_over_seeds(tmp_path: Path) -> None:
    study = make_study()
    (table,) = SECTION.tables(results_of(study, tmp_path), ENTRY)
    rows = study.runs.query("table == 'main' and pair == 'p0' and method == 'kd'")
    kd = next(row for row in table.rows if row[1].text == "KD")
    assert kd[2].order == pytest.approx(rows["map/silhouette"].mean())
    assert kd[3].text == "80.00 ± 0.00"
    assert kd[2].runs == tuple(rows["key"])


def test_without_maps_there_is_a_word(tmp_path: Path) -> None:
    study = make_study()
    results = read(study, tmp_path)
    (panel,) = drawn(results).figure.axes
    assert panel.texts[0].get_text() == "No maps were drawn."
    (table,) = SECTION.tables(results, ENTRY)
    assert table.rows == ()
