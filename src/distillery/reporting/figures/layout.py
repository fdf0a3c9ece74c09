"""Sizes of figures as they are printed, and texts that fit into them.

A figure is as wide as a column or as the text of a page, whatever it shows, so that nobody scales
it: letters then have the size that they are drawn with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeVar

COLUMN, TEXT = 3.3, 6.9
"""Width in inches of a column, and of the text of a page."""
PAGE = 8.7
"""Height in inches that a figure may have with its legend."""

_Shown = TypeVar("_Shown")


def columns_of(count: int, most: int = 3) -> int:
    """Return how many panels stand beside each other."""
    return count if count <= 3 else 2 if count == 4 else most


def width_of(count: int, *, wide: bool = False) -> float:
    """Return the width of a figure with so many panels."""
    return TEXT if wide or count > 1 else COLUMN


def that_fit(
    panels: Iterable[_Shown], height: float, most: int = 3, spare: float = 0.8
) -> list[_Shown]:
    """Return the first panels, as many as a page has room for, of at least one row.

    Args:
        panels: what would have a panel each.
        height: height of a panel in inches.
        most: panels beside each other.
        spare: what legend and scale take of the page.
    """
    every = list(panels)
    rows = max(1, int((PAGE - spare) // height))
    return every[: rows * columns_of(len(every), most)]


def left_out(shown: Sequence[object], count: int, what: str) -> str:
    """Return the sentence that a caption gets where not all panels or lines are shown."""
    if len(shown) == count:
        return ""
    return f" The first {len(shown)} of {count} {what}."


def text_width(text: str, size: float) -> float:
    """Return the width in inches of the widest line of a text, in the theme's font.

    Args:
        text: what is written.
        size: size of the letters in points.
    """
    return max((_line_width(line) for line in text.split("\n")), default=0.0) * size / 72


def wrapped(text: str, width: float, size: float) -> str:
    """Break a text into lines no wider than ``width`` inches; a word too long is broken, too."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(joined, size) <= width:
            lines[-1] = joined
        else:
            lines += _pieces(word, width, size)
    return "\n".join(lines)


def shortened(text: str, width: float, size: float) -> str:
    """Return a text that fits into a width, with an ellipsis where its end is left out."""
    if text_width(text, size) <= width:
        return text
    ends = (
        end for end in range(len(text) - 1, 0, -1) if text_width(f"{text[:end]}…", size) <= width
    )
    return f"{text[: next(ends, 1)].rstrip()}…"


def rows_of(names: Sequence[str], size: float, least: float) -> float:
    """Return the height in inches that rows need with these names, some of several lines."""
    lines = max((name.count("\n") + 1 for name in names), default=1)
    return max(least, lines * 1.35 * size / 72)


def _pieces(word: str, width: float, size: float) -> list[str]:
    """Break a word that is too wide, where it has a hyphen if possible."""
    pieces = []
    while text_width(word, size) > width and len(word) > 1:
        fits = max(
            (end for end in range(1, len(word)) if text_width(word[:end], size) <= width),
            default=1,
        )
        hyphen = max(word.rfind(mark, 0, fits) for mark in "-_/") + 1
        end = hyphen if hyphen > fits / 2 else fits
        pieces.append(word[:end])
        word = word[end:]
    return [*pieces, word]


@cache
def _line_width(line: str) -> float:
    """Return the width of a line in units of the size of its letters."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(
        line, FontProperties(family="DejaVu Sans", size=100), ismath=False
    )
    return 0.0 if math.isnan(width) else float(width) / 100
