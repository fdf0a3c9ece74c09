from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_results import Study, make_study, with_teachers
from published import read

from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry

pytestmark = pytest.mark.usefixtures("in_theme")

SECTION = registry.load("inter-class")

ENTRY = "relations"


def matrices(run: str, classes: int, scale: float, seed: int) -> pd.DataFrame:
    """Return details of one network as the protocol writes them."""
    random = np.random.default_rng(seed)
    correlation, means = (
        scale * random.standard_normal((classes, classes)) * (1 - np.eye(classes)) for _ in range(2)
    )
    return pd.DataFrame(
        {
            "class": [f"class {number}" for number in range(classes)],
            "correlation": [*correlation.astype(np.float32)],
            "class_mean": [*(10 * means).astype(np.float32)],
            "run": run,
        }
    )


def results_of(study: Study, folder: Path, classes: int = 10, **scales: float) -> Results:
    """Publish a study with made-up differences whose size is that of the method."""
    details = []
    for number, row in enumerate(study.rows):
        if row["table"] == "ablation":
            continue
        scale = scales.get(row["method"], 0.1) if row["method"] else 0.0
        details.append(matrices(row["run"], classes, scale, number))
        row[f"{ENTRY}/correlation_difference"] = scale * 0.8
        row[f"{ENTRY}/class_mean_difference"] = scale * 8
    results = read(study, folder)
    return replace(results, found={ENTRY: with_teachers(results, pd.concat(details))})


def drawings(results: Results) -> list[ReportFigure]:
    styles = make_styles(results.labels, results.baseline)
    return list(SECTION.figures(results, ENTRY, styles))


def images(drawn: ReportFigure) -> list[Any]:
    return [panel.images[0] for panel in drawn.figure.axes if panel.images]


def test_everything_declared_is_made(tmp_path: Path) -> None:
    results = results_of(make_study(), tmp_path)
    names = ["section-relations", "section-relations-class-means"]
    assert [drawn.name for drawn in drawings(results)] == names
    assert [table.name for table in SECTION.tables(results, ENTRY)] == names[:1]


def test_the_table_has_both_numbers(tmp_path: Path) -> None:
    (table,) = SECTION.tables(results_of(make_study(), tmp_path, kd=0.05), ENTRY)
    kd = next(row for row in table.rows if row[1].text == "KD")
    assert [cell.text for cell in kd[2:4]] == ["0.0400 ± 0.0000", "0.4000 ± 0.0000"]
    assert len(kd[2].runs) == 3


def test_each_method_of_the_first_pair_has_a_panel_with_its_first_seed(tmp_path: Path) -> None:
    study = make_study()
    results = results_of(study, tmp_path, ce=0.3, kd=0.1, crd=0.05)
    correlation, means = drawings(results)
    assert "resnet56 → resnet20" in correlation.caption
    run = study.runs.query("table == 'main' and pair == 'p0' and method == 'kd' and seed == 0")
    rows = results.found[ENTRY].query(f"run == '{run['run'].item()}'")
    for drawn, column in ((correlation, "correlation"), (means, "class_mean")):
        shown = images(drawn)
        assert len(shown) == 3
        expected = np.abs(np.stack([*rows[column]]))
        assert np.array_equal(np.asarray(shown[1].get_array()), expected)
        name, mean = drawn.figure.axes[1].get_title().split("\n")
        assert name == "KD"
        assert float(mean) == pytest.approx(expected.sum() / 90, abs=1e-3)


def test_all_methods_share_a_colour_scale(tmp_path: Path) -> None:
    results = results_of(make_study(), tmp_path, ce=0.3, kd=0.1, crd=0.05)
    for drawn in drawings(results):
        shown = [np.asarray(image.get_array()) for image in images(drawn)]
        values = np.concatenate([matrix[~np.eye(10, dtype=bool)] for matrix in shown])
        for image in images(drawn):
            assert image.get_clim() == (0, pytest.approx(np.quantile(values, 0.99)))
        assert "the same colour scale for all methods" in drawn.caption


def test_a_pair_without_details_is_passed_over(tmp_path: Path) -> None:
    study = make_study()
    results = results_of(study, tmp_path)
    first = study.runs.query("pair == 'p0'")["run"]
    details = results.found[ENTRY]
    results = replace(results, found={ENTRY: details[~details["run"].isin(first)]})
    assert all("resnet57 → resnet21" in drawn.caption for drawn in drawings(results))


def test_missing_values_leave_gaps(tmp_path: Path) -> None:
    results = results_of(make_study(), tmp_path)
    for row in results.found[ENTRY].query("`class` == 'class 3'").itertuples():
        row.correlation[:] = np.nan
    correlation, _ = drawings(results)
    assert all(np.isfinite(image.get_clim()).all() for image in images(correlation))


def test_equal_networks_have_a_scale_too(tmp_path: Path) -> None:
    results = results_of(make_study(), tmp_path, ce=0, kd=0, crd=0)
    assert [image.get_clim() for image in images(drawings(results)[0])] == [(0, 1)] * 3


def test_without_details_there_is_a_word(tmp_path: Path) -> None:
    study = make_study()
    results = read(study, tmp_path)
    for drawn in drawings(results):
        (panel,) = drawn.figure.axes
        assert panel.texts[0].get_text() == "No relations of classes were measured."
    (table,) = SECTION.tables(results, ENTRY)
    assert table.rows == ()
