"""How figures look, and how they are saved: the same bytes for the same numbers, on every host."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.reporting import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

ACCURACY = "Test top-1 (%)"
GREY = "#555555"

_RESOLUTION = 150
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1, 1, 1)))
# Neither the time of drawing nor the version of the library is a result.
_METADATA: dict[str, Any] = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    "png": dict.fromkeys(("Software",)),
}


@dataclass(frozen=True)
class Drawing:
    """A figure with the name of its files and its caption."""

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Style:
    """How one method looks in every figure."""

    colour: Any
    marker: str
    dash: Any


@contextmanager
def theme() -> Iterator[None]:
    """Draw in the report's style, whatever the user's matplotlib settings are."""
    import matplotlib as mpl
    import seaborn as sns

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(sns.axes_style("ticks"))
        mpl.rcParams.update(sns.plotting_context("paper", font_scale=0.9))
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


def styles(methods: Iterable[str], baseline: str) -> dict[str, Style]:
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


def panels(count: int, width: float, height: float, **sharing: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``count`` panels of the given size in inches, row by row.

    Args:
        count: number of panels.
        width: width of a panel.
        height: height of a panel.
        sharing: axes to share, as for ``Figure.subplots``.
    """
    from matplotlib.figure import Figure

    # At most three beside each other: more would be too small on a page of a thesis.
    columns = min(3, math.ceil(math.sqrt(count))) if count > 3 else count
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, **sharing).flat)
    for unused in grid[count:]:
        unused.remove()
    return figure, grid[:count]


def name_axes(grid: Sequence[Axes], x: str, y: str = "") -> None:
    """Name the axes at the left and lower edge of the panels."""
    columns = grid[0].get_gridspec().ncols  # type: ignore[union-attr]
    for number, panel in enumerate(grid):
        panel.set_ylabel(y if number % columns == 0 else "")
        panel.set_xlabel(x if number + columns >= len(grid) else "")


def scatter_beside(panel: Axes, x: Any, y: Any, aside: tuple[float, float], **look: Any) -> None:
    """Draw small dots, shifted by ``aside`` points so that nothing hides them."""
    from matplotlib.transforms import ScaledTranslation

    figure = panel.get_figure(root=True)
    assert figure is not None
    dots = panel.scatter(x, y, s=6, alpha=0.6, linewidths=0, **look)
    shift = ScaledTranslation(aside[0] / 72, aside[1] / 72, figure.dpi_scale_trans)
    # Only now: the limits of the panel come from the dots' true places.
    dots.set_offset_transform(panel.transData + shift)


def legend_key(label: str, **look: Any) -> Line2D:
    """Return an entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **{"color": GREY, **look})


def add_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Add a legend below the panels, in as few rows as the width allows."""
    widths = [0.5 + 0.062 * len(str(handle.get_label())) for handle in handles]
    for rows in range(1, len(handles) + 1):
        columns = math.ceil(len(handles) / rows)
        widest = [max(widths[start : start + rows]) for start in range(0, len(widths), rows)]
        if sum(widest) <= figure.get_figwidth():
            break
    figure.set_figheight(figure.get_figheight() + 0.2 * rows)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def blank(message: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure, (panel,) = panels(1, 4, 1)
    panel.set_axis_off()
    panel.text(0.5, 0.5, message, ha="center", va="center")
    return figure


def save(drawing: Drawing, folder: Path) -> None:
    """Write a figure in every format below ``folder``."""
    figure = drawing.figure
    # Once for all formats: arranging the panels takes most of the time.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for suffix in files.FIGURE_FORMATS:
        figure.savefig(
            folder / files.figure_file(drawing.name, suffix),
            dpi=_RESOLUTION,
            metadata=_METADATA[suffix],
        )
