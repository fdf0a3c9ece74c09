"""Writes what differs between two reports: for terminals, as Markdown, and for programs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import get_args

from distillery.core.schema_words import markdown_table
from distillery.core.text_tables import text_table
from distillery.reporting.changes.comparing import Change, Verdict
from distillery.reporting.formatting import DASH, interval, number, p_value, signed

_HEADER = ("table", "row", "metric", "before", "after", "difference", "95 %", "p (Holm)", "")


def text(found: Sequence[Change]) -> str:
    """Return a line for each number that differs, and how many there are of each kind."""
    rows = [_cells(change) for change in _differing(found)]
    return "\n".join([*(text_table(_HEADER, rows) if rows else []), _summary(found)])


def markdown(found: Sequence[Change], before: str, after: str) -> str:
    """Return the same for the comment of a merge request."""
    rows = [_cells(change) for change in _differing(found)]
    head = f"**{_summary(found)}** From `{before}` to `{after}`."
    notes = "Paired t tests over the seeds that both have, corrected by Holm's method per metric."
    return "\n\n".join([head, *([markdown_table(_HEADER, rows), notes] if rows else [])])


def as_json(found: Iterable[Change]) -> str:
    """Return all numbers, also those that are the same, for programs."""
    plain = [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(change).items()
        }
        for change in found
    ]
    return json.dumps({"changes": plain})


def _summary(found: Iterable[Change]) -> str:
    counts = Counter(change.verdict for change in found)
    said = [f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict]]
    return f"{', '.join(said) or 'nothing to compare'}."


def _differing(found: Iterable[Change]) -> list[Change]:
    """Return what differs: first what moved."""
    order: dict[str, int] = {"moved": 0, "within noise": 1, "not testable": 2, "new": 3, "gone": 4}
    differing = [change for change in found if change.verdict != "same"]
    return sorted(differing, key=lambda change: order[change.verdict])


def _cells(change: Change) -> tuple[str, ...]:
    variant = "" if change.variant == "{}" else change.variant
    named = [change.pair, change.title if change.pair else change.method, variant]
    return (
        change.table,
        " ".join(filter(None, named)),
        change.metric,
        _number(change.before),
        _number(change.after),
        DASH if math.isnan(change.difference) else signed(change.difference),
        interval(change.low, change.high, sign=True),
        DASH if math.isnan(change.p) else p_value(change.p),
        change.verdict,
    )


def _number(value: float) -> str:
    return DASH if math.isnan(value) else number(value)
