from pathlib import Path

import numpy as np
import pytest
from made_up_results import Study, make_study
from published import read
from varied_alone import METHOD, NETWORKS, PAIR, TITLE, with_varied_alone

from distillery.reporting.figures.style import make_styles
from distillery.reporting.results import protocols
from distillery.reporting.sections import registry

pytestmark = pytest.mark.usefixtures("in_theme")

ENTRY = "entry"
# All that these sections need for a figure.
METRICS = {
    "deployment": ["float_mb", "float_ms", "float_top1", "int8_mb", "int8_ms", "int8_top1"],
    "representation": ["alignment", "uniformity"],
    "transfer": ["probe_top1"],
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
    found = protocols.measured(results.runs, ENTRY)
    assert found["run"].tolist() == study.runs["run"].tolist()[3:]
    assert found["b"].tolist() == study.runs[f"{ENTRY}/b"].tolist()[3:]
    assert not [name for name in found.columns if "/" in name]


def test_each_pair_has_its_teacher(tmp_path: Path) -> None:
    results = read(measured(), tmp_path)
    teachers = protocols.of_pairs(results).query("method == ''")
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
    networks = protocols.measured(results.students, ENTRY)
    found = protocols.points(networks, ["pair", "method"], "a", "b")
    assert set(found["method"]) == {"ce", "crd"}
    row = found.set_index(["pair", "method"]).loc["p1", "crd"]
    values = study.runs.query("table == 'main' and pair == 'p1' and method == 'crd'")
    for axis, metric in (("x", "a"), ("y", "b")):
        assert row[f"mean_{axis}"] == pytest.approx(values[f"{ENTRY}/{metric}"].mean())
        assert row[f"std_{axis}"] == pytest.approx(values[f"{ENTRY}/{metric}"].std())


def test_labels_of_methods_outside_the_comparison_are_their_titles(tmp_path: Path) -> None:
    results = read(measured(), tmp_path)
    assert results.labels == {**results.methods, METHOD: TITLE}
    assert protocols.pairs_of(results, results.runs) == [PAIR, "p0", "p1"]


def test_a_figure_of_single_runs_shows_the_first_compared_pair(tmp_path: Path) -> None:
    study = measured()
    results = read(study, tmp_path)
    details = results.runs[["run", "teacher_key"]].drop_duplicates()
    pair, teachers, students = protocols.first_seeds(results, details)
    assert pair == "p0"
    assert runs_of(teachers) == [("Teacher", study.rows[0]["run"])]
    firsts = study.runs.query("table == 'main' and pair == 'p0' and seed == 0")["run"]
    assert runs_of(students) == [*zip(["CE", "KD", "CRD + KD"], firsts, strict=True)]
    none = protocols.first_seeds(results, details.iloc[:0])
    assert none == ("", [], [])


def test_one_network_in_two_pairs_is_shown_beside_the_teacher_of_its_pair(tmp_path: Path) -> None:
    """A student without a teacher is one run in all pairs, compared with another teacher each."""
    study = measured()
    first = {row["seed"]: row for row in study.rows if (row["pair"], row["method"]) == ("p0", "ce")}
    for row in study.rows:
        if (row["pair"], row["method"]) == ("p1", "ce"):
            row |= {name: first[row["seed"]][name] for name in ("run", "key")}
    results = read(study, tmp_path)
    details = results.runs[["run", "teacher_key", "pair"]].drop_duplicates()
    pair, _, students = protocols.first_seeds(results, details)
    assert (pair, students[0].details["pair"].tolist()) == ("p0", ["p0"])
    of_second = details[details["teacher_key"] == results.teacher_of("p1")["key"].item()]
    pair, teachers, students = protocols.first_seeds(results, of_second)
    assert (pair, len(teachers)) == ("p1", 1)
    assert [shown.label for shown in students] == ["CE", "KD", "CRD + KD"]
    assert students[0].details["pair"].tolist() == ["p1"]


def runs_of(shown: list[protocols.NetworkDetails]) -> list[tuple[str, str]]:
    return [(label, details["run"].item()) for label, details in shown]


@pytest.mark.parametrize("name", METRICS)
def test_a_pair_outside_the_comparison_is_not_compared(tmp_path: Path, name: str) -> None:
    section = registry.load(name)
    results = read(measured(*METRICS[name]), tmp_path)
    (table,) = section.tables(results, ENTRY)
    assert len(table.rows) == 2 + 2 * 3
    assert NETWORKS not in {row[0].text for row in table.rows}
    styles = make_styles(results.labels, results.baseline)
    for drawn in section.figures(results, ENTRY, styles):
        titles = [panel.get_title() for panel in drawn.figure.axes]
        assert titles == ["resnet56 → resnet20", "resnet57 → resnet21"]
        assert np.isfinite([panel.get_xlim() for panel in drawn.figure.axes]).all()
