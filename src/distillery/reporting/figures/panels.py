"""Panels and what is drawn into them: points, heat maps, names of axes, legends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distillery.reporting.figures import layout
from distillery.reporting.figures.style import GREY, Style
from distillery.reporting.results.collected import Results

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

# In inches: what axes and gaps take beside a panel.
_BESIDE_TITLE = 0.35
_LEAST_GAP = 1.15
_LINE_SPACING = 1.2


def grid(
    count: int, height: float, *, wide: bool = False, most: int = 3, **sharing: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``count`` panels, row by row: as wide as a column, or as the text.

    Args:
        count: number of panels.
        height: height of a panel in inches.
        wide: whether a single panel is as wide as the text.
        most: panels beside each other.
        sharing: axes to share, as for ``Figure.subplots``.
    """
    from matplotlib.figure import Figure

    columns = layout.columns_of(count, most)
    rows = math.ceil(count / columns)
    size = layout.width_of(count, wide=wide), rows * height
    figure = Figure(figsize=size, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, **sharing).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def of_pairs(
    results: Results, pairs: Iterable[str], height: float, **more: Any
) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with a titled panel for each pair.

    Args:
        results: what the report is about.
        pairs: ids of the pairs, at least one and as many as fit on a page.
        height: height of a panel in inches.
        more: as for ``grid``.
    """
    shown = list(pairs)
    figure, axes = grid(len(shown), height, **more)
    found = dict(zip(shown, axes, strict=True))
    for pair, panel in found.items():
        set_title(panel, str(results.pairs[pair]))
    _make_room_for_titles(figure, axes)
    return figure, found


def _make_room_for_titles(figure: Figure, axes: Sequence[Axes]) -> None:
    """Let a figure be higher by the further lines of its titles, which else leave no panel."""
    columns = axes[0].get_gridspec().ncols  # type: ignore[union-attr]
    lines = [panel.get_title().count("\n") for panel in axes]
    further = sum(max(lines[first : first + columns]) for first in range(0, len(lines), columns))
    line = _LINE_SPACING * _points("axes.titlesize") / 72
    figure.set_figheight(figure.get_figheight() + further * line)


def set_title(panel: Axes, title: str, below: str = "") -> None:
    """Write a title over a panel, on several lines where it is wider than that; one more below."""
    wrapped = layout.wrapped(title, _room(panel), _points("axes.titlesize"))
    lines = [wrapped, *([below] if below else [])]
    panel.set_title("\n".join(lines))


def rotated_below(panel: Axes, positions: Sequence[float], labels: Sequence[str]) -> None:
    """Write labels below a panel: beside each other if they fit, else upright."""
    size = _points("xtick.labelsize")
    widest = sum(layout.text_width(label, size) + 0.08 for label in labels)
    panel.set_xticks(positions, labels, rotation=90 if widest > _room(panel) else 0)


def _room(panel: Axes) -> float:
    """Return the width in inches that texts above and below a panel have."""
    columns = panel.get_gridspec().ncols  # type: ignore[union-attr]
    return _figure(panel).get_figwidth() / columns - _BESIDE_TITLE


def _figure(panel: Axes) -> Figure:
    figure = panel.get_figure(root=True)
    assert figure is not None
    return figure


def name_axes(axes: Sequence[Axes], x: str, y: str = "") -> None:
    """Name the axes at the left and lower edge of the panels."""
    columns = axes[0].get_gridspec().ncols  # type: ignore[union-attr]
    for number, panel in enumerate(axes):
        panel.set_ylabel(y if number % columns == 0 else "")
        panel.set_xlabel(x if number + columns >= len(axes) else "")


def scatter(panel: Axes, x: Any, y: Any, aside: tuple[float, float], **drawn: Any) -> None:
    """Draw small dots, shifted by ``aside`` points so that nothing hides them."""
    from matplotlib.transforms import ScaledTranslation

    dots = panel.scatter(x, y, s=6, alpha=0.6, linewidths=0, **drawn)
    shift = ScaledTranslation(aside[0] / 72, aside[1] / 72, _figure(panel).dpi_scale_trans)
    # Only now: the limits of the panel come from where the dots belong.
    dots.set_offset_transform(panel.transData + shift)


def legend_key(label: str, **drawn: Any) -> Line2D:
    """Return an entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **{"color": GREY, **drawn})


def style_key(label: str, style: Style, *, line: bool = True, marker: bool = True) -> Line2D:
    """Return an entry of a legend for what is drawn in a style: its line, its marker or both."""
    return legend_key(
        label,
        color=style.colour,
        ls=style.dash if line else "none",
        marker=style.marker if marker else "none",
    )


def add_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Add a legend below the panels, in as few rows as the width allows."""
    if not handles:
        return
    size, room = _points("legend.fontsize"), figure.get_figwidth() - 0.1
    # In units of the letters: the sample and the gaps, as matplotlib has them.
    beside = (2.0 + 0.8 + 2.0) * size / 72
    for handle in handles:
        handle.set_label(layout.wrapped(str(handle.get_label()), room - beside, size))
    labels = [str(handle.get_label()) for handle in handles]
    widths = [layout.text_width(label, size) + beside for label in labels]
    for rows in range(1, len(handles) + 1):
        columns = math.ceil(len(handles) / rows)
        widest = [max(widths[start : start + rows]) for start in range(0, len(widths), rows)]
        if sum(widest) <= room:
            break
    lines = max(
        sum(label.count("\n") + 1 for label in labels[start : start + rows])
        for start in range(0, len(labels), rows)
    )
    figure.set_figheight(figure.get_figheight() + 0.12 + lines * 1.45 * size / 72)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def _points(name: str) -> float:
    """Return a size of letters of the theme in points."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=rcParams[name]).get_size_in_points())  # type: ignore[index]


def heat_map(panel: Axes, matrix: np.ndarray, largest: float, **drawn: Any) -> AxesImage:
    """Draw a matrix (rows, columns) from its upper left corner, on a scale from 0 to ``largest``.

    It fills the panel: squares would leave no room for long names.
    """
    panel.grid(visible=False)
    return panel.imshow(
        matrix,
        vmin=0,
        vmax=largest or 1,
        cmap="mako_r",
        interpolation="nearest",
        aspect="auto",
        **drawn,
    )


def add_scale(axes: Sequence[Axes], image: AxesImage, name: str, **drawn: Any) -> None:
    """Add the scale of the heat maps below the panels."""
    figure = _figure(axes[0])
    figure.colorbar(image, ax=axes, location="bottom", aspect=30, pad=0.02, **drawn).set_label(name)


def thin_out(panel: Axes, most: int = 4) -> None:
    """Leave so few ticks on linear axes that their numbers have room."""
    from matplotlib.ticker import MaxNLocator

    for axis in (panel.xaxis, panel.yaxis):
        if axis.get_scale() == "linear":
            axis.set_major_locator(MaxNLocator(most))


def thin_out_x(panel: Axes, most: int = 5) -> None:
    """Leave so few ticks on the x axis that their numbers have room."""
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(most))


def log_axis(
    panel: Axes, values: Iterable[float], write: Callable[[float], str], apart: float
) -> None:
    """Make the x axis logarithmic, with these values as its ticks where their numbers have room.

    Args:
        panel: where to draw.
        values: positive numbers.
        write: writes one of them.
        apart: share of the axis between two ticks, at least.
    """
    low, *others = sorted(set(values))
    gap = max(_LEAST_GAP, ((others or [low])[-1] / low) ** apart)
    ticks = [low]
    for value in others:
        if value >= ticks[-1] * gap:
            ticks.append(value)
    panel.set_xscale("log")
    panel.minorticks_off()
    panel.set_xticks(ticks, [write(tick) for tick in ticks])


def hide_ticks(panel: Axes) -> None:
    """Leave only the frame of a panel whose axes are no quantities."""
    panel.set_xticks([])
    panel.set_yticks([])
    panel.grid(visible=False)


def name_styles(figure: Figure, styles: Mapping[str, Style], **parts: bool) -> None:
    """Add a legend of labels and their styles; ``parts`` are those of ``style_key``."""
    add_legend(figure, [style_key(label, style, **parts) for label, style in styles.items()])


def blank(message: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure, (panel,) = grid(1, 0.8)
    panel.set_axis_off()
    shown = layout.wrapped(message, layout.COLUMN - 0.2, _points("font.size"))
    panel.text(0.5, 0.5, shown, ha="center", va="center")
    return figure
