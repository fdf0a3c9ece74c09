"""Tables of comparisons of methods: ranks, differences of two, and the stated claims."""

from __future__ import annotations

import pandas as pd

from distillery.reporting.formatting import DASH, number, p_value, signed, whole
from distillery.reporting.results import comparisons
from distillery.reporting.results.collected import Results
from distillery.reporting.tables import cells, columns
from distillery.reporting.tables.building import build, each
from distillery.reporting.tables.columns import Column, Group
from distillery.reporting.tables.model import Cell, Table

_MEASURES = (
    "Differences are in percentage points, with 95 % intervals (t); p is that of the paired t "
    "test, corrected by Holm’s method for all comparisons of {family}; g is Hedges’ g of the "
    "paired differences (their mean over their deviation, corrected for few of them)."
)


def ranks(results: Results) -> Table:
    """Return the methods by average rank, each compared with the first."""
    data = comparisons.ranking(results)
    notes = [comparisons.basis(results)]
    if len(data):
        notes += [comparisons.friedman_note(results), _MEASURES.format(family="two methods")]
    return build(
        "ranks",
        "Average ranks of the methods, and their distance from the first.",
        [
            columns.label("Method", lambda row: results.labels[row.method]),
            columns.number("Average rank", "rank", number),
            *_comparison("First’s lead (points)"),
        ],
        each(data),
        data,
        notes=notes,
    )


def differences(results: Results) -> Table:
    """Return every comparison of two methods."""
    data = comparisons.differences(results)
    notes = [comparisons.basis(results)]
    if len(data):
        notes.append(_MEASURES.format(family="two methods"))
    return build(
        "differences",
        "All comparisons of two methods, the one of better rank first.",
        [
            columns.label("Method", lambda row: results.labels[row.better]),
            columns.label("Compared with", lambda row: results.labels[row.worse]),
            *_comparison("Difference (points)"),
        ],
        each(data),
        data,
        notes=notes,
    )


def claims(results: Results) -> Table:
    """Return the stated claims and what became of them."""
    data = comparisons.claims(results)
    return build(
        "claims",
        "The stated claims, tested at this size over all seeds and pairs of networks that both "
        "methods have, from three seeds of a pair on.",
        [
            columns.label("Claim", lambda row: str(row.text)),
            Column("Verdict", lambda group: Cell(group.names.verdict)),
            *_comparison("Difference (points)"),
            columns.number("Pairs", "pairs", whole),
        ],
        each(data),
        data,
        notes=[
            "A claim is supported or contradicted where p is below 0.05.",
            _MEASURES.format(family="these claims"),
        ],
    )


def published(results: Results) -> Table:
    """Return the published numbers beside those of the report."""
    data = comparisons.beside_published(results)
    return build(
        "published",
        "Test top-1 accuracy (%) at the last epoch beside published numbers.",
        [
            columns.label("Pair", lambda row: str(results.pairs[row.pair])),
            columns.label("Method", lambda row: results.labels[row.method]),
            Column("Ours", lambda group: cells.percent(group.names)),
            columns.number("Published", "top1", number),
            columns.number("Ours − published", "above", signed),
            Column("Source", lambda group: Cell(group.names.source)),
        ],
        each(data),
        data,
        notes=[results.report.published.note],
    )


def _comparison(difference: str) -> list[Column]:
    """Return the columns of a comparison of two methods."""
    return [
        columns.number(difference, "difference", signed),
        columns.interval("95 % interval", "low", "high", sign=True),
        columns.number("p (Holm)", "p_holm", p_value),
        columns.number("Hedges’ g", "effect", signed),
        Column("Ahead in", _ahead),
    ]


def _ahead(group: Group) -> Cell:
    row = group.names
    if pd.isna(row.n):
        return Cell(DASH)
    return Cell(f"{row.ahead:.0f} of {row.n:.0f}", row.ahead / row.n if row.n else None)
