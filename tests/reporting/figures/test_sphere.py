from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from distillery.reporting.figures.model import save
from distillery.reporting.figures.sphere import POINTS, draw
from distillery.reporting.figures.style import theme


@pytest.fixture
def panels() -> Iterator[list[Axes]]:
    with theme():
        yield draw("section-aecrd").figure.axes


def dots(panel: Axes, count: int = POINTS) -> dict[str, np.ndarray]:
    """Return the places of the marks in groups of ``count``, (2, count), by colour."""
    return {
        to_hex(line.get_color()): np.array(line.get_data())
        for line in panel.lines
        if line.get_marker() == "o" and len(line.get_xdata()) == count
    }


def test_every_strategy_has_its_points_and_its_entry(panels: list[Axes]) -> None:
    assert [len(dots(panel)) for panel in panels[:2]] == [3, 4]
    entries = [text.get_text() for text in panels[0].figure.legends[0].get_texts()]
    assert entries[:2] == ["linear, re-projected", "slerp"]
    assert len(entries) == len(set(entries)) == 3 + 4 + 4


def distance_from_ellipse(panel: Axes, places: np.ndarray) -> np.ndarray:
    """Return by how much places (2, n) miss the ellipse through the marks of ``panel``, (n,).

    A great circle is seen as an ellipse about the centre, whose equation has three unknowns.
    """

    def terms(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack([x**2, x * y, y**2], axis=1)

    marks = np.concatenate([*dots(panel).values()], axis=1)
    solution, *_ = np.linalg.lstsq(terms(*marks), np.ones(marks.shape[1]), rcond=None)
    return np.abs(terms(*places) @ solution - 1)


def test_strategies_of_the_plane_lie_on_one_circle_and_differ_along_it(panels: list[Axes]) -> None:
    places = np.concatenate([*dots(panels[0]).values()], axis=1)
    assert distance_from_ellipse(panels[0], places).max() < 1e-8
    assert len(np.unique(places[0].round(3))) == 3 * POINTS


def test_the_other_strategies_leave_it(panels: list[Axes]) -> None:
    for places in dots(panels[1]).values():
        assert distance_from_ellipse(panels[0], places).max() > 0.01


def test_clouds_are_within_the_sphere(panels: list[Axes]) -> None:
    for panel in panels[2:]:
        (cloud,) = panel.collections
        places = np.asarray(cloud.get_offsets())
        assert len(places) == 250
        assert (np.linalg.norm(places, axis=1) <= 1).all()
    assert [panel.get_title().split(",")[0] for panel in panels[2:]] == [
        "Gaussian",
        "Cap",
        "von Mises-Fisher",
    ]


def test_it_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        (tmp_path / "figures").mkdir(exist_ok=True)
        with theme():
            save(draw("sphere"), tmp_path)
        found.append([file.read_bytes() for file in sorted(tmp_path.glob("figures/sphere.*"))])
    assert len(found[0]) == 3
    assert found[0] == found[1]
