import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from gallery import methods
from made_up_results import Study
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from distillery.reporting.figures.ablation import draw
from distillery.reporting.figures.comparison import accuracy
from distillery.reporting.figures.learning_curves import learning_curves
from distillery.reporting.figures.model import ReportFigure, save
from distillery.reporting.figures.style import Style, Styles, make_styles, shades
from distillery.reporting.results.collected import Results

pytestmark = pytest.mark.usefixtures("in_theme")


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Study], Results]:
    return lambda study: Results.read(study.settings, study.publish(tmp_path))


def styles(results: Results) -> Styles:
    return make_styles(results.labels, results.baseline)


def ticks(panel: Axes, axis: str = "x") -> list[str]:
    return [label.get_text() for label in getattr(panel, f"get_{axis}ticklabels")()]


def legend(drawn: ReportFigure) -> list[str]:
    return [text.get_text() for text in drawn.figure.legends[0].get_texts()]


def test_accuracy_has_a_panel_a_pair_and_a_row_a_method(
    study: Study, read: Callable[[Study], Results]
) -> None:
    results = read(study)
    panels = accuracy(results, styles(results)).figure.axes
    assert [panel.get_title() for panel in panels] == [
        "resnet56 → resnet20",
        "resnet57 → resnet21",
    ]
    assert ticks(panels[0], "y") == ["CE", "KD", "CRD + KD"]
    means = [float(container[0].get_xdata()[0]) for container in panels[1].containers]
    assert means == results.summary.loc["p1", "mean"].tolist()[1:]


def test_no_row_is_so_low_that_its_single_runs_are_cut(
    make: Callable[..., Study], read: Callable[[Study], Results]
) -> None:
    results = read(make(methods=methods(5)))
    figure = accuracy(results, styles(results)).figure
    figure.draw_without_rendering()
    panel = figure.axes[0]
    *_, dots = panel.collections
    lowest = dots.get_offset_transform().transform(dots.get_offsets())[:, 1].min()
    radius = math.sqrt(dots.get_sizes().max()) / 2 * figure.dpi / 72
    assert lowest - radius >= panel.bbox.y0


def test_lines_without_numbers_are_not_drawn(
    make: Callable[..., Study], read: Callable[[Study], Results]
) -> None:
    study = make(pairs=1, methods={"kd": "KD"}, ablations={})
    study.rows = [row for row in study.rows if row["table"] != "teachers"]
    results = read(study)
    drawn = accuracy(results, styles(results))
    assert legend(drawn) == ["mean ± one standard deviation", "single run", "teacher"]


def test_dots_stand_beside_their_places_but_count_for_the_limits(
    make: Callable[..., Study], read: Callable[[Study], Results]
) -> None:
    study = make(pairs=1)
    outlier = next(row for row in study.rows if row["method"] == "kd")
    outlier["test_top1"] = 20.0
    results = read(study)
    (panel,) = accuracy(results, styles(results)).figure.axes
    assert panel.get_xlim()[0] < 20


def test_learning_curves_are_means_over_seeds(
    study: Study, read: Callable[[Study], Results]
) -> None:
    results = read(study)
    panel = learning_curves(results, styles(results)).figure.axes[0]
    chosen = study.runs.query("table == 'main' and pair == 'p0' and method == 'kd'")["run"]
    curves = pd.concat(study.curves)
    mean = curves[curves["run"].isin(chosen)].groupby("epoch")["test_top1"].mean()
    drawn = {to_hex(line.get_color()): line.get_ydata() for line in panel.lines}
    assert drawn[to_hex(styles(results)["kd"].colour)] == pytest.approx(mean.to_numpy())


def test_a_stage_of_the_method_s_own_is_not_in_the_curves(
    study: Study, read: Callable[[Study], Results]
) -> None:
    for curve in study.curves:
        curve.loc[curve.index[:5], "phase"] = "pretrain"
    assert read(study).learning_curves()["epoch"].min() == 6


def test_curves_of_few_points_are_shown_as_a_whole(
    study: Study, read: Callable[[Study], Results]
) -> None:
    study.curves = [curve[curve["epoch"] % 10 == 0] for curve in study.curves]
    results = read(study)
    drawn = learning_curves(results, styles(results))
    assert "It was measured after epochs 10 and 20." in drawn.caption
    panel = drawn.figure.axes[0]
    assert ticks(panel) == ["10", "20"]
    lowest = min(min(line.get_ydata()) for line in panel.lines)
    assert panel.get_ylim()[0] < lowest
    assert {line.get_marker() for line in panel.lines} == {"o"}


def test_curves_without_any_change_lie_inside_the_panel(
    study: Study, read: Callable[[Study], Results]
) -> None:
    study.curves = [curve.assign(test_top1=100.0) for curve in study.curves]
    results = read(study)
    low, high = learning_curves(results, styles(results)).figure.axes[0].get_ylim()
    assert 100 - low == pytest.approx(high - 100)


def test_without_curves_the_figure_says_so(study: Study, read: Callable[[Study], Results]) -> None:
    study.curves = [curve.assign(phase="pretrain") for curve in study.curves]
    results = read(study)
    (panel,) = learning_curves(results, styles(results)).figure.axes
    assert panel.texts[0].get_text() == "No learning curves were recorded."


def test_methods_look_the_same_everywhere_and_all_different() -> None:
    methods = ["ce", *(f"m{number}" for number in range(24))]
    found = make_styles(methods, "ce")
    assert len({(to_hex(style.colour), str(style.dash)) for style in found.values()}) == 25
    assert make_styles(iter(methods), "ce") == found


def test_shades_of_a_method_include_its_colour() -> None:
    style = Style("#0173b2", "o", "-")
    assert shades(style, 1) == [style]
    assert to_hex(shades(style, 3)[1].colour) == "#0173b2"


def ablation(
    values: list[Any], make: Callable[..., Study], read: Callable[[Study], Results], **more: Any
) -> ReportFigure:
    study = make(pairs=1, seeds=2, ablations={"a": {"options.x": values, **more}})
    results = read(study)
    return draw(results, "a", styles(results))


def test_few_decades_are_linear(make, read) -> None:
    drawn = ablation([0.05, 0.1, 0.5], make, read)
    (panel,) = drawn.figure.axes
    assert panel.get_xscale() == "linear"
    assert panel.get_xlabel() == "X"
    assert legend(drawn) == ["CRD + KD", "CE (baseline)"]


def test_two_decades_are_logarithmic_with_the_values_as_ticks(make, read) -> None:
    (panel,) = ablation([16, 256, 4096, 16384], make, read).figure.axes
    assert panel.get_xscale() == "log"
    assert ticks(panel) == ["16", "256", "4096", "16384"]


def test_ticks_that_would_overlap_are_left_out(make, read) -> None:
    (panel,) = ablation([1, 90, 100, 1000], make, read).figure.axes
    assert ticks(panel) == ["1", "90", "1000"]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["random", "hard"], ["random", "hard"]),
        ([True, False], ["true", "false"]),
        ([0, 0.01, 1.0, 10], ["0", "0.01", "1", "10"]),
        ([None, 4], ["null", "4"]),
        ([["stage1"], ["stage1", "stage2"]], ["[stage1]", "[stage1, stage2]"]),
    ],
)
def test_other_values_have_equal_steps_and_no_line(make, read, values, labels) -> None:
    (panel,) = ablation(values, make, read).figure.axes
    assert ticks(panel) == labels
    assert list(panel.get_xticks()) == list(range(len(labels)))
    assert panel.containers[0][0].get_linestyle() == "None"


def test_other_axes_tell_groups_apart(make, read) -> None:
    drawn = ablation([1, 2], make, read, **{"weights.kd": [0, 1], "options.y": ["a", "b"]})
    assert legend(drawn)[:4] == [
        "Weight of KD 0, Y a",
        "Weight of KD 0, Y b",
        "Weight of KD 1, Y a",
        "Weight of KD 1, Y b",
    ]


def test_an_ablation_without_results_says_so(
    study: Study, read: Callable[[Study], Results]
) -> None:
    study.rows = [row for row in study.rows if row["table"] != "temperature"]
    results = read(study)
    (panel,) = draw(results, "temperature", styles(results)).figure.axes
    assert panel.texts[0].get_text() == "There are no results."


def test_dollar_signs_are_no_formulas(
    make: Callable[..., Study], read: Callable[[Study], Results], tmp_path: Path
) -> None:
    results = read(make(methods={"ce": "CE", "kd": "costs $5 or $6_7"}, ablations={}))
    (tmp_path / "figures").mkdir()
    save(accuracy(results, styles(results)), tmp_path)
    assert "costs $5 or $6_7" in (tmp_path / "figures/accuracy.svg").read_text()
