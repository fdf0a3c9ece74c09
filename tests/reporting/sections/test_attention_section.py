from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_results import Study, make_study
from published import read

from distillery.core import log_names
from distillery.reporting.figures.model import ReportFigure, save
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry

pytestmark = pytest.mark.usefixtures("in_theme")

SECTION = registry.load("attention")

ENTRY = "attention"
METHODS = {"ce": "CE", "afd": "AFD", "rtk": "RTK"}
TEACHER_LAYERS, STUDENT_LAYERS, EPOCHS = 27, 9, 6


def logged(run: str, method: str, seed: int) -> list[dict[str, Any]]:
    """Make up what a run logs; attention sharpens and moves from the first layers to the last."""
    random = np.random.default_rng(seed)
    places = np.subtract.outer(np.linspace(0, 1, TEACHER_LAYERS), np.linspace(0, 1, STUDENT_LAYERS))
    rows = []

    def add(epoch: int, name: str, values: Any) -> None:
        for place in np.ndindex(np.shape(values)):
            row, column = (*place, -1, -1)[:2]
            value = float(np.asarray(values)[place])
            entry = {"epoch": epoch, "name": name, "row": row, "column": column}
            rows.append({"run": run, **entry, "value": value})

    for epoch in range(1, EPOCHS + 1):
        shares = np.exp(-epoch * places**2 + 0.1 * random.standard_normal(places.shape))
        shares /= shares.sum(axis=1, keepdims=True)
        of_layers = -(shares * np.log(shares)).sum(axis=1)
        if method == "rtk":
            layers = np.arange(TEACHER_LAYERS)
            frequency = 1 / (1 + np.exp(-(layers - 13) * epoch / 6))
            shares *= frequency[:, None]
            add(epoch, log_names.FREQUENCY, frequency)
        add(epoch, log_names.ATTENTION, shares)
        add(epoch, log_names.LAYER_ENTROPY, of_layers)
        add(epoch, log_names.ENTROPY, of_layers.mean())
    return rows


def results_of(study: Study, folder: Path) -> Results:
    """Publish a study with made-up diagnostics of AFD and RTK."""
    rows = [
        entry
        for number, row in enumerate(study.rows)
        if row["method"] in ("afd", "rtk")
        for entry in logged(row["run"], row["method"], number)
    ]
    results = read(study, folder)
    return replace(results, diagnostics=pd.DataFrame(rows)) if rows else results


def drawn(results: Results) -> list[ReportFigure]:
    styles = make_styles(results.labels, results.baseline)
    return [*SECTION.figures(results, ENTRY, styles)]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return results_of(make_study(methods=METHODS, ablations={}), tmp_path)


def value_of(results: Results, run: str, **place: Any) -> float:
    logged = results.diagnostics[results.diagnostics["run"] == run]
    for name, wanted in place.items():
        logged = logged[logged[name] == wanted]
    return float(logged["value"].item())


def test_makes_what_it_declares(results: Results) -> None:
    assert [figure.name for figure in drawn(results)] == [
        "section-attention",
        "section-attention-selection",
    ]
    assert [table.name for table in SECTION.tables(results, ENTRY)] == ["section-attention"]
    assert (len(SECTION.table_suffixes), len(SECTION.figure_suffixes)) == (1, 2)


def test_matrices_are_means_over_seeds_on_one_scale(results: Results) -> None:
    figure = drawn(results)[0].figure
    *grid, bar = figure.axes
    assert [panel.get_title() for panel in grid] == [
        f"{method}\nepoch {epoch}" for method in ("AFD", "RTK") for epoch in (1, 3, 6)
    ]
    scales = {panel.images[0].get_clim() for panel in grid}
    assert len(scales) == 1
    runs = results.students.query("pair == 'p0' and method == 'rtk'")["run"]
    place = {"name": "attention", "epoch": 3, "row": 20, "column": 4}
    expected = np.mean([value_of(results, run, **place) for run in runs])
    shown = np.asarray(grid[4].images[0].get_array())
    assert shown.shape == (TEACHER_LAYERS, STUDENT_LAYERS)
    assert shown[20, 4] == pytest.approx(expected)
    assert grid[4].images[0].get_extent() == [0.5, 9.5, 27.5, 0.5]
    assert bar.get_xlabel() == "Attention"


def test_selection_is_drawn_over_the_epochs_of_every_pair(results: Results) -> None:
    *grid, _ = drawn(results)[1].figure.axes
    assert [panel.get_title().replace("\n", " ") for panel in grid] == [
        "RTK, resnet56 → resnet20",
        "RTK, resnet57 → resnet21",
    ]
    shown = np.asarray(grid[0].images[0].get_array())
    assert shown.shape == (TEACHER_LAYERS, EPOCHS)
    assert shown[26, 5] == pytest.approx(1 / (1 + np.exp(-13)))
    assert grid[0].images[0].get_clim() == (0, 1)


def test_the_table_has_the_last_epoch_of_each_layer(results: Results) -> None:
    (table,) = SECTION.tables(results, ENTRY)
    # Two methods of two pairs: a row for each layer, and one for all.
    assert len(table.rows) == 4 * (TEACHER_LAYERS + 1)
    row = next(row for row in table.rows if [cell.text for cell in row[1:3]] == ["RTK", "14"])
    runs = results.students.query("pair == 'p0' and method == 'rtk'")
    assert row[3].text == "50.00 ± 0.00"
    assert set(row[3].runs) == set(runs["key"])
    place = {"name": "attention_entropy_of_layers", "epoch": 6, "row": 13}
    entropies = [value_of(results, run, **place) for run in runs["run"]]
    assert row[4].order == pytest.approx(np.mean(entropies))
    total = next(row for row in table.rows if [cell.text for cell in row[1:3]] == ["AFD", "all"])
    assert total[3].text == total[4].text == "–"
    assert total[5].order == pytest.approx(total[5].order)
    assert "1." in total[5].text or "2." in total[5].text


def test_without_anything_logged_it_says_so(tmp_path: Path) -> None:
    results = results_of(make_study(), tmp_path)
    matrices, selection = drawn(results)
    assert "No method logged" in matrices.figure.axes[0].texts[0].get_text()
    assert "No method selected" in selection.figure.axes[0].texts[0].get_text()
    (table,) = SECTION.tables(results, ENTRY)
    assert table.rows == ()


def test_one_epoch_is_one_moment(results: Results) -> None:
    diagnostics = results.diagnostics
    short = replace(results, diagnostics=diagnostics[diagnostics["epoch"] == 1])
    *grid, _ = drawn(short)[0].figure.axes
    assert [panel.get_title() for panel in grid] == ["AFD\nepoch 1", "RTK\nepoch 1"]


def test_bytes_do_not_change(results: Results, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir(exist_ok=True)
    written = []
    for _ in range(2):
        save(drawn(results)[0], tmp_path)
        written.append((tmp_path / "figures" / "section-attention.svg").read_bytes())
    assert written[0] == written[1]
