from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_results import Study, make_study
from varied_alone import NETWORKS, TITLE, with_varied_alone

from distillery.reporting import files
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry
from distillery.reporting.tables import writing

pytestmark = pytest.mark.usefixtures("in_theme")

SECTION = registry.load("computation")

ENTRY = "cost"
ABLATIONS = {
    "bank": {"options.negatives": [1024, 4096, 16384]},
    "synthetic": {"options.points": [0, 1, 2, 4, 8]},
}
EXTRA_MS = {"ce": 0.0, "kd": 1.5, "crd": 9.0}


def costs(row: dict[str, Any], number: int) -> dict[str, float]:
    """Made-up figures of one network."""
    found = {
        "parameters": 861_770.0 if row["table"] == "teachers" else 278_324.0,
        "flops": 2.5e8 if row["table"] == "teachers" else 8.2e7,
        "image_ms": 1.25 + 0.01 * number,
        "batch_ms": 30.5,
        "batch_size": 64.0,
    }
    if row["table"] == "teachers":
        return found
    step = 80 + EXTRA_MS[row["method"]] + 0.1 * row["seed"] + 0.3 * (number % 11)
    return found | {
        "step_ms": step,
        "step_ms_q1": step - 0.5,
        "step_ms_q3": step + 1.25,
        "student_ms": 80.0,
        "teacher_ms": 0.4,
        "loss_ms": step - 80.4,
        "step_memory_mb": step / 2,
        "student_memory_mb": 40.0,
        "step_flops": 1.7e10,
        "loss_flops": 2.5e8 if row["method"] == "crd" else 0.0,
        "method_parameters": 16640.0 if row["method"] == "crd" else 0.0,
        "method_state_mb": 48.83 if row["method"] == "crd" else 0.0,
    }


def measured(study: Study) -> Study:
    """Add made-up metrics to all networks."""
    for number, row in enumerate(study.rows):
        row.update({f"{ENTRY}/{name}": value for name, value in costs(row, number).items()})
    return study


def read(study: Study, folder: Path, *, device: str | None = "A Fast Device") -> Results:
    results = Results.read(study.settings, study.publish(folder))
    if device is None:
        return results
    about = results.runs[["run", "teacher_key"]]
    details = about.assign(device=device, milliseconds=1.0)
    return replace(results, found={ENTRY: details})


def drawn(results: Results) -> dict[str, ReportFigure]:
    styles = make_styles(results.labels, results.baseline)
    return {each.name: each for each in SECTION.figures(results, ENTRY, styles)}


def names(suffixes: tuple[str, ...]) -> list[str]:
    return [files.section(ENTRY, suffix) for suffix in suffixes]


def test_the_training_table_has_a_row_a_student_and_a_row_a_variant(tmp_path: Path) -> None:
    results = read(measured(make_study(ablations=ABLATIONS)), tmp_path)
    table, _ = SECTION.tables(results, ENTRY)
    assert len(table.rows) == 2 * 3 + 3 + 5
    assert [cell.text for cell in table.rows[2][:4]] == [
        "resnet56 → resnet20",
        "CRD + KD",
        "",
        "A Fast Device",
    ]
    assert [row[2].text for row in table.rows[6:9]] == [
        "negatives 1024",
        "negatives 4096",
        "negatives 16384",
    ]
    assert "batches of 64 images" in table.caption
    assert [head[0] for head in table.header] == [
        "Pair",
        "Method",
        "Setting",
        "Device",
        "Step (ms)",
        "of it teacher (ms)",
        "of it method (ms)",
        "Peak memory (MiB)",
        "Method’s FLOPs (M)",
        "Method’s parameters",
        "Method’s state (MiB)",
        "Test top-1 (%)",
        "Runs",
    ]
    assert all(len(row) == len(table.header) for row in table.rows)


def test_cells_are_means_over_seeds_and_know_their_runs(tmp_path: Path) -> None:
    study = measured(make_study())
    table, _ = SECTION.tables(read(study, tmp_path), ENTRY)
    rows = study.runs.query("table == 'main' and pair == 'p0' and method == 'crd'")
    step, teacher, _, _, flops, parameters = table.rows[2][4:10]
    middle = rows[f"{ENTRY}/step_ms"].mean()
    assert step.order == pytest.approx(middle)
    assert step.text == f"{middle:.2f} ({middle - 0.5:.2f}–{middle + 1.25:.2f})"
    assert step.runs == table.rows[2][-1].runs == tuple(rows["key"])
    assert (teacher.text, flops.text, parameters.text) == ("0.4000", "250.00", "16\u202f640")


def test_measurements_of_two_devices_are_kept_apart(tmp_path: Path) -> None:
    results = read(measured(make_study(ablations={})), tmp_path)
    details = results.found[ENTRY].assign(
        device=lambda found: found["run"].str.contains("-s0-").map({True: "slow", False: "fast"})
    )
    table, networks = SECTION.tables(replace(results, found={ENTRY: details}), ENTRY)
    assert [row[2].text for row in table.rows[:2]] == ["slow", "fast"]
    assert [len(row[-1].runs) for row in table.rows[:2]] == [1, 2]
    assert {row[1].text for row in networks.rows} == {"slow", "fast"}


def test_the_table_of_networks_has_a_row_an_architecture(tmp_path: Path) -> None:
    _, table = SECTION.tables(read(measured(make_study()), tmp_path), ENTRY)
    assert [row[0].text for row in table.rows] == ["resnet56", "resnet57", "resnet20", "resnet21"]
    assert [cell.text for cell in table.rows[2][2:4]] == ["0.2783", "82.00"]
    assert table.rows[0][4].text == "1.250"


def test_points_are_means_over_seeds(tmp_path: Path) -> None:
    study = measured(make_study())
    figures = drawn(read(study, tmp_path))
    rows = study.runs.query("table == 'main' and pair == 'p1' and method == 'kd'")
    for name, metric in (("time", "step_ms"), ("memory", "step_memory_mb")):
        figure = figures[files.section(ENTRY, name)].figure
        assert [panel.get_title() for panel in figure.axes] == [
            "resnet56 → resnet20",
            "resnet57 → resnet21",
        ]
        points = [container[0].get_xydata()[0] for container in figure.axes[1].containers]
        expected = rows[[f"{ENTRY}/{metric}", "test_top1"]].mean().tolist()
        assert len(points) == 3
        assert any(point == pytest.approx(expected) for point in points)


def test_variants_of_two_ablations_share_a_panel(tmp_path: Path) -> None:
    study = measured(make_study(ablations=ABLATIONS))
    figure = drawn(read(study, tmp_path))[files.section(ENTRY, "variants")].figure
    (panel,) = figure.axes
    bank, synthetic, _baseline = panel.get_lines()
    assert (len(bank.get_xdata()), len(synthetic.get_xdata())) == (3, 5)
    rows = study.runs.query("table == 'synthetic'").groupby("variant", sort=False)
    assert list(synthetic.get_xdata()) == pytest.approx(list(rows[f"{ENTRY}/step_ms"].mean()))
    settings = [text.get_text() for text in panel.texts]
    assert settings == ["1024", "4096", "16384", "0", "1", "2", "4", "8"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["CRD + KD: Negatives", "CRD + KD: Points", "CE (baseline)"]
    assert bank.get_color() != synthetic.get_color()


@pytest.mark.parametrize("is_empty", [False, True])
def test_all_declared_files_are_always_made(tmp_path: Path, is_empty: bool) -> None:
    results = read(make_study(), tmp_path, device=None)
    if is_empty:
        results = replace(results, runs=results.runs.iloc[:0])
    tables = SECTION.tables(results, ENTRY)
    assert [table.name for table in tables] == names(SECTION.table_suffixes)
    assert not any(table.rows for table in tables)
    assert list(drawn(results)) == names(SECTION.figure_suffixes)
    for table in tables:
        assert writing.to_markdown(table)
        assert writing.to_latex(table)


def test_networks_without_details_have_no_device(tmp_path: Path) -> None:
    table, networks = SECTION.tables(read(measured(make_study()), tmp_path, device=None), ENTRY)
    assert {row[3].text for row in table.rows} == {row[1].text for row in networks.rows} == {"–"}


def test_a_pair_and_a_method_that_only_an_ablation_has_are_shown(tmp_path: Path) -> None:
    study = with_varied_alone(measured(make_study(ablations=ABLATIONS)), "bank")
    results = read(study, tmp_path)
    table, _ = SECTION.tables(results, ENTRY)
    assert [tuple(cell.text for cell in row[:3]) for row in table.rows[-3:]] == [
        (NETWORKS, TITLE, f"negatives {count}") for count in (1024, 4096, 16384)
    ]
    figures = drawn(results)
    variants = figures[files.section(ENTRY, "variants")].figure
    assert [panel.get_title() for panel in variants.axes] == ["resnet56 → resnet20", NETWORKS]
    (line,) = variants.axes[1].get_lines()
    rows = study.runs.query("pair == 'alone'").groupby("variant", sort=False)
    assert list(line.get_xdata()) == pytest.approx(list(rows[f"{ENTRY}/step_ms"].mean()))
    assert f"{TITLE}: Negatives" in [text.get_text() for text in variants.legends[0].get_texts()]
    for suffix in ("time", "memory"):
        comparison = figures[files.section(ENTRY, suffix)].figure
        assert NETWORKS not in [panel.get_title() for panel in comparison.axes]
