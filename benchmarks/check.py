"""Whether this machine finds the ratios that a document gives, or nearly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.table import documented

TOLERANCE = 0.8
"""Share of a documented ratio that must be reached."""
ATTEMPTS = 3


def shortfalls(rows: Iterable[Row], expected: dict[str, float]) -> dict[str, str]:
    """Return what is too low (or too high, where smaller is better), by label, in a line each.

    Raises:
        KeyError: a row is not documented.
    """
    found = {}
    for row in rows:
        label, value = row["label"], row["value"]
        ratio = expected[label] / value if row.get("at_most") else value / expected[label]
        if ratio < TOLERANCE:
            found[label] = f"{label}: {value:.3g}, documented is {expected[label]:.3g}"
    return found


def lasting_shortfalls(document: Path, name: str, measure: Callable[..., list[Row]]) -> list[str]:
    """Return what falls short in every one of some attempts, since machines have bad moments.

    Args:
        document: what holds the tables.
        name: of the measure.
        measure: measures quickly when asked to.
    """
    expected = documented(document, name)
    lasting = shortfalls(measure(quick=True), expected)
    for _ in range(ATTEMPTS - 1):
        if not lasting:
            break
        again = shortfalls(measure(quick=True), expected)
        lasting = {label: line for label, line in again.items() if label in lasting}
    return list(lasting.values())
