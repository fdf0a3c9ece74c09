from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from made_up_results import Study, make_study
from published import read
from varied_alone import METHOD, NETWORKS, PAIR, TITLE, with_varied_alone

from distillery.reporting import drawing, protocol_metrics
from distillery.reporting.sections import deployment, representation, transfer

pytestmark = pytest.mark.usefixtures("in_theme")

ENTRY = "entry"
# All that these sections need for a figure.
METRICS: dict[ModuleType, list[str]] = {
    deployment: ["float_mb", "float_ms", "float_top1", "int8_mb", "int8_ms", "int8_top1"],
    representation: ["alignment", "uniformity"],
    transfer: ["probe_top1"],
}


def measured(*metrics: str) -> Study:
    """Results with made-up metrics of every row, and a pair first that only an ablation has."""
    study = make_study()
    for number, row in enumerate(study.rows):
        row |= {f"{ENTRY}/{metric}": 10.0 * place + number for place, metric in enumerate(metrics)}
    with_varied_alone(study, "temperature")
    study.report["pairs"] = {PAIR: study.report["pairs"].pop(PAIR), **study.report["pairs"]}
    return study


def test_only_measured_networks_and_the_entrys_metrics(tmp_path: Path) -> None:
    study = measured("a", "b")
    for row in study.rows[:3]:
        row[f"{ENTRY}/a"] = row[f"{ENTRY}/b"] = float("nan")
    study.rows[3][f"{ENTRY}/a"] = float("nan")
    results = read(study, tmp_path)
    found = protocol_metrics.measured(results.runs, ENTRY)
    assert found["run"].tolist() == study.runs["run"].tolist()[3:]
    assert found["b"].tolist() == study.runs[f"{ENTRY}/b"].tolist()[3:]
    assert not [name for name in found.columns if "/" in name]


def test_each_pair_has_its_teacher(tmp_path: Path) -> None:
    results = read(measured(), tmp_path)
    teachers = protocol_metrics.of_pairs(results).query("method == ''")
    assert [*zip(teachers["pair"], teachers["arch"], strict=True)] == [
        ("p0", "resnet56"),
        ("p1", "resnet57"),
    ]


def test_points_have_both_metrics(tmp_path: Path) -> None:
    study = measured("a", "b")
    for row in study.rows:
        if row["method"] == "kd":
            row[f"{ENTRY}/b"] = float("nan")
    results = read(study, tmp_path)
    networks = protocol_metrics.measured(results.students, ENTRY)
    found = protocol_metrics.points(networks, ["pair", "method"], "a", "b")
    assert set(found["method"]) == {"ce", "crd"}
    row = found.set_index(["pair", "method"]).loc["p1", "crd"]
    values = study.runs.query("table == 'main' and pair == 'p1' and method == 'crd'")
    for axis, metric in (("x", "a"), ("y", "b")):
        assert row[f"mean_{axis}"] == pytest.approx(values[f"{ENTRY}/{metric}"].mean())
        assert row[f"std_{axis}"] == pytest.approx(values[f"{ENTRY}/{metric}"].std())


def test_labels_of_methods_outside_the_comparison_are_their_titles(tmp_path: Path) -> None:
    results = read(measured(), tmp_path)
    assert protocol_metrics.method_labels(results, results.students) == results.methods
    labels = protocol_metrics.method_labels(results, results.runs.query("table == 'temperature'"))
    assert labels == {**results.methods, METHOD: TITLE}
    assert protocol_metrics.pairs_of(results, results.runs) == [PAIR, "p0", "p1"]


def test_a_figure_of_single_runs_shows_the_first_compared_pair(tmp_path: Path) -> None:
    study = measured()
    results = read(study, tmp_path)
    pair, teachers, students = protocol_metrics.first_seeds(results, results.runs[["run"]])
    assert pair == "p0"
    assert teachers == [("Teacher", study.rows[0]["run"])]
    firsts = study.runs.query("table == 'main' and pair == 'p0' and seed == 0")["run"]
    assert students == [*zip(["CE", "KD", "CRD + KD"], firsts, strict=True)]
    none = protocol_metrics.first_seeds(results, pd.DataFrame(columns=["run"]))
    assert none == ("", [], [])


@pytest.mark.parametrize("section", METRICS, ids=lambda section: section.TITLE)
def test_a_pair_outside_the_comparison_is_not_compared(tmp_path: Path, section: ModuleType) -> None:
    results = read(measured(*METRICS[section]), tmp_path)
    (table,) = section.tables(results, ENTRY)
    assert len(table.rows) == 2 + 2 * 3
    assert NETWORKS not in {row[0].text for row in table.rows}
    looks = drawing.styles(results.methods, results.baseline)
    for drawn in section.figures(results, ENTRY, looks):
        titles = [panel.get_title() for panel in drawn.figure.axes]
        assert titles == ["resnet56 → resnet20", "resnet57 → resnet21"]
        assert np.isfinite([panel.get_xlim() for panel in drawn.figure.axes]).all()
