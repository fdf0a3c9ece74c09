"""How figures look, whatever the host and its settings: the theme, and a style for each method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ACCURACY = "Test top-1 (%)"
GREY = "#555555"
FAINT = "#b5b5b5"
"""Of what stands behind the few that a figure is about."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1, 1, 1)))


@dataclass(frozen=True)
class Style:
    """How one method looks in every figure."""

    colour: Any
    marker: str
    dash: Any


Styles = Mapping[str, Style]
"""A style for each method."""

TEACHER_STYLE = Style("black", "D", "-")
"""Also where markers are filled or empty: a star would be too small to be seen empty."""


@contextmanager
def theme() -> Iterator[None]:
    """Draw in the report's style, whatever the user's matplotlib settings are."""
    import matplotlib as mpl
    import seaborn as sns

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(sns.axes_style("ticks"))
        mpl.rcParams.update(sns.plotting_context("paper", font_scale=0.8))
        mpl.rcParams.update(
            {
                # It comes with matplotlib, so that no host draws with another font.
                "font.family": "sans-serif",
                "font.sans-serif": ["DejaVu Sans"],
                # Names may have dollar signs.
                "text.parse_math": False,
                "axes.grid": True,
                "grid.color": "0.9",
                "grid.linewidth": 0.6,
                "axes.edgecolor": "0.4",
                "axes.linewidth": 0.7,
                "xtick.bottom": True,
                "xtick.major.size": 3,
                "xtick.major.width": 0.7,
                "lines.markersize": 4,
                "legend.frameon": False,
                "pdf.fonttype": 42,
                "svg.fonttype": "none",
                "svg.hashsalt": "distillery",
            }
        )
        yield


def make_styles(methods: Iterable[str], baseline: str) -> dict[str, Style]:
    """Return a style for each method: colours that colour-blind people tell apart, then dashes.

    The baseline is grey. Colours repeat after seven methods, with another dash.
    """
    import seaborn as sns

    palette = sns.color_palette("colorblind")
    # Without its grey, and without the two that are faint on white.
    colours = [palette[number] for number in (0, 1, 2, 3, 4, 9, 5)]
    found = {baseline: Style(GREY, "o", "-")}
    for number, method in enumerate(method for method in methods if method != baseline):
        group, colour = divmod(number, len(colours))
        found[method] = Style(
            colours[colour],
            _MARKERS[group % len(_MARKERS)],
            _DASHES[group % len(_DASHES)],
        )
    return found


def shades(style: Style, count: int) -> list[Style]:
    """Return variations of a method's style, from light to dark."""
    import seaborn as sns
    from matplotlib.colors import to_rgb

    if count == 1:
        return [style]
    pure = to_rgb(style.colour)
    light, dark = [0.45 * part + 0.55 for part in pure], [0.45 * part for part in pure]
    colours = sns.blend_palette([light, pure, dark], count)
    return [
        Style(colour, _MARKERS[number % len(_MARKERS)], _DASHES[number % len(_DASHES)])
        for number, colour in enumerate(colours)
    ]
