"""A figure of the report, and how it is saved: the same numbers give the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from distillery.reporting import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RESOLUTION = 150
# Neither the time of drawing nor the version of the library is a result.
_METADATA: dict[str, Any] = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    "png": dict.fromkeys(("Software",)),
}


class Caption(NamedTuple):
    """What is said of a figure or a table.

    Attributes:
        text: what it shows.
        is_illustration: whether it explains a method and shows no result.
    """

    text: str
    is_illustration: bool = False


@dataclass(frozen=True)
class ReportFigure:
    """A figure with the name of its files and its caption.

    Attributes:
        name: name of its files.
        caption: what it shows, and what its error bars are.
        figure: the drawing.
        is_illustration: whether it explains a method and shows no result.
    """

    name: str
    caption: str
    figure: Figure
    is_illustration: bool = False


def save(report_figure: ReportFigure, folder: Path) -> None:
    """Write a figure in every format below ``folder``."""
    figure = report_figure.figure
    # Once for all formats: arranging the panels takes most of the time.
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    for suffix in files.FIGURE_FORMATS:
        figure.savefig(
            folder / files.figure_file(report_figure.name, suffix),
            dpi=_RESOLUTION,
            metadata=_METADATA[suffix],
        )
