"""Panels and what is drawn into them: points, heat maps, names of axes, legends."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distillery.reporting.figures.style import GREY, Style
from distillery.reporting.results.collected import Results

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D


def grid(count: int, width: float, height: float, **sharing: Any) -> tuple[Figure, list[Axes]]:
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
    axes = list(figure.subplots(rows, columns, squeeze=False, **sharing).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def of_pairs(
    results: Results,
    pairs: Iterable[str],
    alone: tuple[float, float],
    beside: tuple[float, float],
    **sharing: Any,
) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with a titled panel for each pair.

    Args:
        results: what the report is about.
        pairs: ids of the pairs, at least one.
        alone: width and height in inches of the panel of a single pair.
        beside: width and height of the panels of several pairs.
        sharing: axes to share, as for ``grid``.
    """
    shown = list(pairs)
    figure, axes = grid(len(shown), *(alone if len(shown) == 1 else beside), **sharing)
    found = dict(zip(shown, axes, strict=True))
    for pair, panel in found.items():
        panel.set_title(textwrap.fill(str(results.pairs[pair]), 28))
    return figure, found


def name_axes(axes: Sequence[Axes], x: str, y: str = "") -> None:
    """Name the axes at the left and lower edge of the panels."""
    columns = axes[0].get_gridspec().ncols  # type: ignore[union-attr]
    for number, panel in enumerate(axes):
        panel.set_ylabel(y if number % columns == 0 else "")
        panel.set_xlabel(x if number + columns >= len(axes) else "")


def scatter(panel: Axes, x: Any, y: Any, aside: tuple[float, float], **drawn: Any) -> None:
    """Draw small dots, shifted by ``aside`` points so that nothing hides them."""
    from matplotlib.transforms import ScaledTranslation

    figure = panel.get_figure(root=True)
    assert figure is not None
    dots = panel.scatter(x, y, s=6, alpha=0.6, linewidths=0, **drawn)
    shift = ScaledTranslation(aside[0] / 72, aside[1] / 72, figure.dpi_scale_trans)
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
    widths = [0.5 + 0.062 * len(str(handle.get_label())) for handle in handles]
    for rows in range(1, len(handles) + 1):
        columns = math.ceil(len(handles) / rows)
        widest = [max(widths[start : start + rows]) for start in range(0, len(widths), rows)]
        if sum(widest) <= figure.get_figwidth():
            break
    figure.set_figheight(figure.get_figheight() + 0.2 * rows)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


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
    figure = axes[0].get_figure(root=True)
    assert figure is not None
    figure.colorbar(image, ax=axes, location="bottom", aspect=30, pad=0.02, **drawn).set_label(name)


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
    figure, (panel,) = grid(1, 4, 1)
    panel.set_axis_off()
    panel.text(0.5, 0.5, message, ha="center", va="center")
    return figure
