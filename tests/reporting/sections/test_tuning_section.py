"""The section of the tuning."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_results import make_study
from made_up_trials import CE, KD, tuned
from published import read

from distillery.reporting.figures.style import make_styles
from distillery.reporting.results.collected import Results
from distillery.reporting.sections.tuning import Tuning

pytestmark = pytest.mark.usefixtures("in_theme")

TWO = {"ce": "CE", "kd": "KD"}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return tuned(read(make_study(methods=TWO, ablations={}), tmp_path))


def test_it_says_what_was_selected_and_by_what_margin(results: Results) -> None:
    selected, _ = Tuning().tables(results, "tuning")
    assert selected.name == "section-tuning"
    texts = [[cell.text for cell in row] for row in selected.rows]
    assert texts == [
        ["resnet56 → resnet20", "CE", "lr 0.05", "2", "0", "51.00 ± 1.41", "+0.00", "+10.00"],
        ["resnet56 → resnet20", "KD", "temperature 2", "4", "1", "70.00 ± 1.41", "+10.00", "+4.00"],
    ]


def test_all_trials_are_listed_also_those_that_failed(results: Results) -> None:
    _, tried = Tuning().tables(results, "tuning")
    assert tried.name == "section-tuning-trials"
    assert [row[4].text for row in tried.rows] == [
        "51.00 ± 1.41",
        "41.00 ± 1.41",
        "60.00 ± 1.41",
        "70.00 ± 1.41",
        "failed",
        "66.00 ± 1.41",
    ]
    assert [row[4].strong for row in tried.rows] == [True, False, False, True, False, False]
    assert tried.rows[4][5].text == "the loss is not finite"
    assert tried.rows[4][6].text == "kd-2-0 kd-2-1"


def test_each_method_has_a_figure_with_all_its_trials(results: Results) -> None:
    styles = make_styles(results.labels, results.baseline)
    first, second = Tuning().figures(results, "tuning", styles)
    assert (first.name, second.name) == ("section-tuning-ce", "section-tuning-kd")
    (panel,) = second.figure.axes
    assert panel.get_xlabel() == "Temperature"
    drawn = [line.get_marker() for line in panel.lines if line.get_marker() in ("o", "*", "x")]
    assert sorted(drawn) == ["*", "o", "o", "x"]
    (star,) = [line for line in panel.lines if line.get_marker() == "*"]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (2, 70)
    (failed,) = [line for line in panel.lines if line.get_marker() == "x"]
    assert failed.get_xdata()[0] == 100


def test_the_legend_names_only_what_is_drawn(results: Results) -> None:
    styles = make_styles(results.labels, results.baseline)
    keys = [
        [text.get_text() for text in figure.figure.legends[0].get_texts()]
        for figure in Tuning().figures(results, "tuning", styles)
    ]
    # The params file's own settings of CE are the selected ones.
    assert keys == [["selected", "trial"], ["selected", "params file", "trial", "failed"]]


@pytest.mark.parametrize(
    ("methods", "kd", "said"),
    [
        (TWO, KD, "Unequal tuning budgets: 4 trials for KD; 2 trials for CE. "),
        (TWO, KD[:2], "Tuned with equal budgets: 2 trials for CE and KD. "),
        (
            {**TWO, "crd": "CRD", "sp": "SP"},
            KD[:2],
            "Unequal tuning budgets: 2 trials for CE and KD; none for CRD and SP. ",
        ),
    ],
)
def test_unequal_budgets_are_told_in_the_first_lines(
    tmp_path: Path, methods: dict[str, str], kd: list[tuple[float, float]], said: str
) -> None:
    results = read(make_study(methods=methods, ablations={}), tmp_path)
    (remark,) = Tuning().remarks(tuned(results, kd, CE), "tuning")
    assert remark.startswith(said)
    assert remark.endswith("1 trial diverged.") == (len(kd) == 4)


def test_there_is_nothing_to_say_without_trials(tmp_path: Path) -> None:
    assert Tuning().remarks(read(make_study(), tmp_path), "tuning") == []
