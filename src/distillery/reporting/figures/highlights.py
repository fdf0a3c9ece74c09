"""Which of many methods a figure shows in colour: the best few and the baseline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from distillery.reporting.figures.style import FAINT, Style, Styles
from distillery.reporting.results.collected import Results

_FADED = Style(FAINT, "o", "-")


@dataclass(frozen=True)
class Highlights:
    """How methods look in a figure where all would hide each other.

    Attributes:
        styles: a style for each method; all that are not highlighted have the same.
        labels: what the legend names, method -> label.
        faded: how many methods it does not name.
    """

    styles: Styles
    labels: dict[str, str]
    faded: int

    @property
    def note(self) -> str:
        """What a caption says of it."""
        if not self.faded:
            return ""
        return f" In colour: the baseline and the best by mean rank; {self.faded} others in grey."


def highlighted(results: Results, methods: Iterable[str], styles: Styles, most: int) -> Highlights:
    """Choose the baseline and the best methods, if there are more than ``most``.

    Args:
        results: what the report is about.
        methods: ids of the methods that are drawn.
        styles: the style of each.
        most: so many are shown in colour.
    """
    drawn = list(methods)
    if len(drawn) <= most:
        return Highlights(styles, {method: results.labels[method] for method in drawn}, 0)
    best = [method for method in _by_rank(results, drawn) if method != results.baseline]
    chosen = {results.baseline, *best[: most - 1]} & set(drawn)
    return Highlights(
        {method: styles[method] if method in chosen else _FADED for method in drawn},
        {method: label for method, label in results.labels.items() if method in chosen},
        len(drawn) - len(chosen),
    )


def _by_rank(results: Results, methods: list[str]) -> list[str]:
    """Return the methods by the mean of their ranks in the pairs that have them."""
    means = results.summary["mean"].unstack("pair").reindex(methods)
    ranks = means.rank(ascending=False).mean(axis="columns")
    return [str(method) for method in ranks.sort_values(kind="stable").index]
