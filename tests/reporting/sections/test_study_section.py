"""The sections of studies: few-shot and ensembles."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_up_results import Study, make_study
from matplotlib.colors import to_rgb
from published import read
from varied_alone import METHOD, NETWORKS, PAIR, TITLE, with_varied_alone

from distillery.evaluation import base
from distillery.evaluation import registry as protocols
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry
from distillery.reporting.sections.study import StudySection

pytestmark = pytest.mark.usefixtures("in_theme")

VALUES: dict[str, list[float]] = {"few-shot": [0.25, 0.5, 0.75, 1.0], "ensemble": [1, 2, 4, 6]}
STUDIES = pytest.mark.parametrize("name", VALUES)


def load(name: str) -> StudySection:
    section = registry.load(name)
    assert isinstance(section, StudySection)
    return section


def studied(name: str, entry: str = "varied", **changes: Any) -> Study:
    """Return results with rows of a study, the last value of which is the main table's run."""
    study = make_study(ablations={}, **changes)
    section, values = load(name), VALUES[name]
    setting = section.setting
    study.report["sections"][entry] = {
        "module": name,
        "title": section.title,
        "tables": list(section.table_suffixes),
        "figures": list(section.figure_suffixes),
        "axes": ["pair", "method", setting],
    }
    for row in [row for row in study.rows if row["table"] == "main"]:
        for step, value in enumerate(values):
            variant = {"pair": row["pair"], "method": row["method"], setting: value}
            is_main = value == values[-1]
            study.rows.append(
                {
                    **row,
                    "table": entry,
                    "variant": json.dumps(variant, sort_keys=True),
                    "key": row["key"] if is_main else f"{len(study.rows):016x}",
                    "test_top1": row["test_top1"] - 3 * (len(values) - 1 - step) ** 1.5,
                }
            )
    return study


def drawn(section: StudySection, results: Results, entry: str = "varied") -> ReportFigure:
    styles = make_styles(results.labels, results.baseline)
    (only,) = section.figures(results, entry, styles)
    assert isinstance(only, ReportFigure)
    return only


@STUDIES
def test_the_protocol_of_a_section_varies_its_axis(name: str) -> None:
    section, values = load(name), VALUES[name]
    setting = section.setting
    study = protocols.load(name)
    assert issubclass(study, base.Study)
    tree = study.configured({}).vary()
    for part in setting.split("."):
        tree = tree[part]
    assert tree == values
    assert section.title == study.title


@STUDIES
def test_the_table_has_methods_down_and_values_across(tmp_path: Path, name: str) -> None:
    study = studied(name)
    section, values = load(name), VALUES[name]
    setting = section.setting
    (table,) = section.tables(read(study, tmp_path), "varied")
    assert [header[0] for header in table.header[2:-1]] == [section.axis] * 4
    shares = ["25", "50", "75", "100"] if name == "few-shot" else ["1", "2", "4", "6"]
    assert [header[1] for header in table.header] == ["Pair", "Method", *shares, "Runs"]
    assert [tuple(cell.text for cell in row[:2]) for row in table.rows] == [
        (f"resnet{56 + pair} → resnet{20 + pair}", method)
        for pair in range(2)
        for method in ("CE", "KD", "CRD + KD")
    ]
    rows = study.runs.query("table == 'varied' and pair == 'p1' and method == 'kd'")
    for place, value in enumerate(values):
        same = rows[[json.loads(variant)[setting] == value for variant in rows["variant"]]]
        cell = table.rows[4][2 + place]
        accuracy = same["test_top1"]
        assert cell.order == pytest.approx(accuracy.mean())
        assert cell.text == f"{accuracy.mean():.2f} ± {accuracy.std():.2f}"
        assert cell.runs == tuple(same["key"])
    assert set(table.rows[4][-1].runs) == set(rows["key"])
    assert set(table.data[setting]) == set(values)


@STUDIES
def test_the_best_method_of_each_pair_and_column_is_bold(tmp_path: Path, name: str) -> None:
    (table,) = load(name).tables(read(studied(name), tmp_path), "varied")
    for rows in (table.rows[:3], table.rows[3:]):
        for column in zip(*(row[2:-1] for row in rows), strict=True):
            means = [cell.order for cell in column]
            assert [cell.strong for cell in column] == [mean == max(means) for mean in means]


@STUDIES
def test_the_figure_has_a_panel_a_pair_and_a_line_a_method(tmp_path: Path, name: str) -> None:
    section, values = load(name), VALUES[name]
    results = read(studied(name), tmp_path)
    figure = drawn(section, results).figure
    (table,) = section.tables(results, "varied")
    styles = make_styles(results.labels, results.baseline)
    assert [panel.get_title() for panel in figure.axes] == [
        "resnet56 → resnet20",
        "resnet57 → resnet21",
    ]
    for number, panel in enumerate(figure.axes):
        lines = [container[0] for container in panel.containers]
        assert len(lines) == 3
        rows = table.rows[3 * number : 3 * number + 3]
        for line, row, method in zip(lines, rows, results.methods, strict=True):
            assert line.get_xdata() == pytest.approx(values)
            assert line.get_ydata() == pytest.approx([cell.order for cell in row[2:-1]])
            assert to_rgb(line.get_color()) == to_rgb(styles[method].colour)
        assert [*panel.get_xticks()] == values
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["CE", "KD", "CRD + KD"]


@pytest.mark.parametrize(("methods", "has_bars"), [(10, True), (11, False)])
def test_many_methods_have_no_error_bars(tmp_path: Path, methods: int, has_bars: bool) -> None:
    names = {"ce": "CE", **{f"m{number}": f"M{number}" for number in range(methods - 1)}}
    shown = drawn(load("few-shot"), read(studied("few-shot", methods=names), tmp_path))
    assert [container.has_yerr for container in shown.figure.axes[0].containers] == (
        [has_bars] * methods
    )
    assert ("error bars of one standard deviation" in shown.caption) is has_bars


@STUDIES
def test_missing_variants_and_foreign_rows_leave_gaps(tmp_path: Path, name: str) -> None:
    study = studied(name)
    section, values = load(name), VALUES[name]
    setting = section.setting
    study.rows = [
        row
        for row in study.rows
        if row["table"] != "varied"
        or row["method"] == "ce"
        or json.loads(row["variant"])[setting] != values[0]
    ]
    results = read(study, tmp_path)
    (table,) = section.tables(results, "varied")
    assert [row[2].text == "–" for row in table.rows] == [False, True, True] * 2
    assert len(drawn(section, results).figure.axes[0].containers[1][0].get_xdata()) == 3


@STUDIES
def test_a_pair_and_a_method_outside_the_comparison_are_shown(tmp_path: Path, name: str) -> None:
    section, values = load(name), VALUES[name]
    results = read(with_varied_alone(studied(name), "varied"), tmp_path)
    assert PAIR not in results.compared
    assert METHOD not in results.methods
    (table,) = section.tables(results, "varied")
    assert [tuple(cell.text for cell in row[:2]) for row in table.rows[6:]] == [(NETWORKS, TITLE)]
    figure = drawn(section, results).figure
    assert [panel.get_title() for panel in figure.axes][2:] == [NETWORKS]
    (line,) = [container[0] for container in figure.axes[2].containers]
    assert line.get_xdata() == pytest.approx(values)
    others = {to_rgb(container[0].get_color()) for container in figure.axes[0].containers}
    assert to_rgb(line.get_color()) not in others
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["CE", "KD", "CRD + KD", TITLE]
