from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_results import Study, make_study
from published import read
from varied_alone import METHOD, NETWORKS, TITLE, with_varied_alone

from distillery.core import log_names as log
from distillery.reporting.figures.model import ReportFigure, save
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import aecrd, registry

pytestmark = pytest.mark.usefixtures("in_theme")

SECTION = registry.load("aecrd")

ENTRY, EPOCHS = "aecrd", 8
METHODS = {"ce": "CE", "crd": "AECRD", "crd-kd": "AECRD + KD"}
CURVES: dict[str, list[Any]] = {
    "options.curve.interpolation": ["linear", "slerp", "hermite"],
    "options.pairs.policy": ["same-class", "anchor-negative"],
}


def logged(run: str, number: int, *, leaves: bool) -> list[dict[str, Any]]:
    """Make up what a run logs."""
    random = np.random.default_rng(number)
    centres = np.linspace(-0.95, 0.95, log.BINS)
    rows = []
    for epoch in range(1, EPOCHS + 1):
        past = epoch / EPOCHS
        figures: dict[str, Any] = {
            log.PAIR_ANGLE: 60 - 20 * past + random.normal(),
            log.OUT_OF_PLANE: 9 + random.normal() if leaves else 1e-5,
            log.TOP_K_SHARE: 0.3 + 0.2 * past + random.normal(0, 0.02),
            log.FALSE_NEGATIVES: 0.02 * past,
            log.ALIGNMENT: 1.2 - past + random.normal(0, 0.02),
            log.STUDENT_UNIFORMITY: -3 - 0.3 * past,
            log.TEACHER_UNIFORMITY: -3.2 - 0.3 * past,
        }
        for name, centre in ((log.REAL_HARDNESS, 0.0), (log.SYNTHETIC_HARDNESS, 0.3 * past)):
            shares = np.exp(-((centres - centre) ** 2) / 0.08)
            figures[name] = shares / shares.sum()
        for name, values in figures.items():
            for row, value in enumerate(np.atleast_1d(values)):
                place = {"epoch": epoch, "name": name, "row": row if np.ndim(values) else -1}
                rows.append({"run": run, **place, "column": -1, "value": float(value)})
    return rows


def results_of(study: Study, folder: Path) -> Results:
    """Publish a study with made-up diagnostics of AECRD; only Hermite curves leave the plane."""
    rows = [
        entry
        for number, row in enumerate(study.rows)
        if row["method"].startswith("crd")
        for entry in logged(
            row["run"], number, leaves="hermite" in row["variant"] or row["table"] == "main"
        )
    ]
    results = read(study, folder)
    return replace(results, diagnostics=pd.DataFrame(rows)) if rows else results


def drawn(results: Results) -> dict[str, ReportFigure]:
    styles = make_styles(results.labels, results.baseline)
    return {figure.name: figure for figure in SECTION.figures(results, ENTRY, styles)}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return results_of(make_study(methods=METHODS, ablations={"strategy": CURVES}), tmp_path)


def test_makes_what_it_declares(results: Results) -> None:
    assert [*drawn(results)] == [
        "section-aecrd",
        "section-aecrd-epochs",
        "section-aecrd-sphere",
    ]
    assert [table.name for table in SECTION.tables(results, ENTRY)] == ["section-aecrd"]
    assert (len(SECTION.table_suffixes), len(SECTION.figure_suffixes)) == (1, 3)


def test_the_table_has_every_row_and_variant(results: Results) -> None:
    (table,) = SECTION.tables(results, ENTRY)
    titles = [(row[0].text, row[2].text, row[3].text) for row in table.rows]
    assert titles[:4] == [("Comparison", "AECRD", "–"), ("Comparison", "AECRD + KD", "–")] * 2
    assert (
        "Effect of strategy",
        "AECRD",
        "interpolation slerp, policy same-class",
    ) in (titles)
    assert len(titles) == 4 + 6


def test_the_table_has_means_of_the_last_epoch(results: Results) -> None:
    (table,) = SECTION.tables(results, ENTRY)
    runs = results.students.query("pair == 'p0' and method == 'crd'")
    last = results.diagnostics.query("epoch == @EPOCHS and name == 'synthetic_in_top_k'")
    values = last.loc[last["run"].isin(runs["run"]), "value"]
    column = [name for (name,) in table.header].index("Among the hardest (%)")
    assert len(values) == 3
    assert table.rows[0][column].order == pytest.approx(100 * values.mean())
    assert set(table.rows[0][column].runs) == set(runs["key"])


def test_the_table_says_which_curves_leave_the_plane(results: Results) -> None:
    (table,) = SECTION.tables(results, ENTRY)
    for row in table.rows:
        leaves = row[0].text == "Comparison" or "hermite" in row[3].text
        assert row[4].text == (aecrd.LEAVES if leaves else aecrd.STAYS)


def test_settings_that_share_a_name_keep_their_group(tmp_path: Path) -> None:
    axes = {"options.synthetic.weight": [1, 2], "weights.weight": [3]}
    results = results_of(make_study(ablations={"weights": axes}, seeds=1), tmp_path)
    (table,) = SECTION.tables(results, ENTRY)
    assert table.rows[-1][3].text == "synthetic.weight 2, weights.weight 3"


def test_in_words() -> None:
    assert aecrd.in_words(0.0099) == "stay in the plane"
    assert aecrd.in_words(0.0101) == "leave the plane"


def test_a_figure_that_the_last_epoch_lacks_is_that_of_the_one_before(results: Results) -> None:
    logged = results.diagnostics
    is_lost = (logged["epoch"] == EPOCHS) & (logged["name"] == log.FALSE_NEGATIVES)
    (table,) = SECTION.tables(replace(results, diagnostics=logged[~is_lost]), ENTRY)
    column = [name for (name,) in table.header].index("False negatives (%)")
    assert table.rows[0][column].order == pytest.approx(100 * 0.02 * (EPOCHS - 1) / EPOCHS)


def test_histograms_are_means_over_seeds(results: Results) -> None:
    panels = drawn(results)["section-aecrd"].figure.axes
    titles = [panel.get_title().replace("\n", " ") for panel in panels]
    # Of the first pair, and every strategy.
    assert titles[:3] == [
        "AECRD",
        "AECRD + KD",
        "interpolation linear, policy same-class",
    ]
    assert len(panels) == 2 + 6
    runs = results.students.query("pair == 'p0' and method == 'crd'")["run"]
    shares = results.diagnostics.query("epoch == @EPOCHS and name == 'hardness_synthetic'")
    expected = shares[shares["run"].isin(runs)].groupby("row")["value"].mean()
    synthetic = panels[0].patches[2]
    np.testing.assert_allclose(synthetic.get_data().values, expected)  # type: ignore[attr-defined]


def test_no_histogram_is_cut_where_the_first_is_the_lowest(results: Results) -> None:
    first = results.students.query("pair == 'p0' and method == 'crd'")["run"]
    logged = results.diagnostics
    values = logged["value"].where(logged["run"].isin(first), 3 * logged["value"])
    higher = replace(results, diagnostics=logged.assign(value=values))
    for panel in drawn(higher)["section-aecrd"].figure.axes:
        highest = max(patch.get_data().values.max() for patch in panel.patches)  # type: ignore[attr-defined]
        low, high = panel.get_ylim()
        assert low == 0
        assert high > highest


def test_lines_over_the_epochs(results: Results) -> None:
    panels = drawn(results)["section-aecrd-epochs"].figure.axes
    assert [panel.get_title() for panel in panels][:2] == ["Pair angle (°)", "Out of plane (°)"]
    assert len(panels) == 7
    lines = panels[0].get_lines()
    assert len(lines) == 8
    runs = results.students.query("pair == 'p0' and method == 'crd'")["run"]
    logged = results.diagnostics.query("name == 'pair_angle'")
    expected = logged[logged["run"].isin(runs)].groupby("epoch")["value"].mean()
    np.testing.assert_allclose(np.asarray(lines[0].get_ydata(), dtype=float), expected)


def test_without_anything_logged_it_says_so(tmp_path: Path) -> None:
    results = results_of(make_study(methods={"ce": "CE"}, ablations={}), tmp_path)
    figures = drawn(results)
    assert "No method" in figures["section-aecrd"].figure.axes[0].texts[0].get_text()
    assert "No method" in figures["section-aecrd-epochs"].figure.axes[0].texts[0].get_text()
    (table,) = SECTION.tables(results, ENTRY)
    assert table.rows == ()


def test_many_strategies_are_cut_with_a_word(tmp_path: Path) -> None:
    many = {"options.temperature": [*range(1, 20)]}
    results = results_of(make_study(methods=METHODS, ablations={"many": many}, seeds=1), tmp_path)
    figures = drawn(results)
    assert len(figures["section-aecrd"].figure.axes) == 15
    assert "the first 15 of 21 rows" in figures["section-aecrd"].caption
    assert "the first 10 of 21 rows" in figures["section-aecrd-epochs"].caption


def test_negatives_without_synthetic_ones_have_no_panel(results: Results) -> None:
    logged = results.diagnostics
    none = replace(results, diagnostics=logged[logged["name"] != log.SYNTHETIC_HARDNESS])
    assert "No method" in drawn(none)["section-aecrd"].figure.axes[0].texts[0].get_text()
    real = logged[logged["name"].isin([log.ALIGNMENT])]
    (table,) = SECTION.tables(replace(results, diagnostics=real), ENTRY)
    assert {row[4].text for row in table.rows} == {"–"}


def test_bytes_do_not_change(results: Results, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir(exist_ok=True)
    written = []
    for _ in range(2):
        save(drawn(results)["section-aecrd"], tmp_path)
        written.append((tmp_path / "figures" / "section-aecrd.svg").read_bytes())
    assert written[0] == written[1]


def test_a_pair_and_a_method_that_only_an_ablation_has_are_shown(tmp_path: Path) -> None:
    study = with_varied_alone(
        make_study(methods=METHODS, ablations={"strategy": CURVES}), "strategy"
    )
    results = results_of(study, tmp_path)
    assert METHOD not in results.methods
    (table,) = SECTION.tables(results, ENTRY)
    titles = [tuple(cell.text for cell in row[:3]) for row in table.rows]
    assert titles[-6:] == [("Effect of strategy", NETWORKS, TITLE)] * 6


def test_figures_show_rows_that_only_an_ablation_has(tmp_path: Path) -> None:
    study = with_varied_alone(
        make_study(methods=METHODS, ablations={"strategy": CURVES}), "strategy"
    )
    study.rows = [row for row in study.rows if row["pair"] in ("", "alone")]
    results = results_of(study, tmp_path)
    assert not results.compared
    figures = drawn(results)
    assert len(figures["section-aecrd"].figure.axes) == 6
    assert len(figures["section-aecrd-epochs"].figure.axes[0].get_lines()) == 6
