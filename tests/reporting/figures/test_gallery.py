"""No figure has texts that are cut or overlap, whatever the shape of the results."""

from collections.abc import Callable
from pathlib import Path

import pytest
from gallery import SHAPES, SLOW, problems, sections, standard, with_long_pairs
from made_up_results import Study, make_study

from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure

pytestmark = pytest.mark.usefixtures("in_theme")


def wrong(drawn: list[ReportFigure]) -> dict[str, list[str]]:
    assert drawn
    return {figure.name: found for figure in drawn if (found := problems(figure))}


@pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES.keys())
def test_figures_of_every_report_fit(make: Callable[[], Study], tmp_path: Path) -> None:
    assert wrong(list(standard(make(), tmp_path))) == {}


@pytest.mark.slow
@pytest.mark.parametrize("make", SLOW.values(), ids=SLOW.keys())
def test_figures_of_other_shapes_fit(make: Callable[[], Study], tmp_path: Path) -> None:
    assert wrong(list(standard(make(), tmp_path))) == {}


@pytest.mark.slow
def test_long_names_of_networks_fit(tmp_path: Path) -> None:
    assert wrong(list(standard(with_long_pairs(make_study(pairs=3)), tmp_path))) == {}


@pytest.mark.slow
def test_figures_of_sections_fit(tmp_path: Path) -> None:
    found = {name: wrong(draw()) for name, draw in sections(tmp_path)}
    assert {name: each for name, each in found.items() if each} == {}


def test_what_is_cut_or_overlaps_is_found() -> None:
    figure, (panel,) = panels.grid(1, 2.0)
    figure.set_layout_engine(None)
    panel.text(0.95, 0.5, "much too long for where it stands, by far")
    panel.text(0.2, 0.2, "one")
    panel.text(0.2, 0.2, "two")
    found = problems(ReportFigure("bad", "A caption.", figure))
    assert any(each.startswith("cut: 'much") for each in found)
    assert "overlap: 'one' and 'two'" in found


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_wrapped_text_is_no_wider_than_asked_for(width: float) -> None:
    text = "a few words and one-that-is-very-long-and-has-hyphens andonethathasnone" * 2
    lines = layout.wrapped(text, width, 8)
    assert layout.text_width(lines, 8) <= width
    assert "".join(lines.split()) == "".join(text.split())
