"""Compares two reports: the same rows matched, and their seeds compared pair by pair.

Runs of one seed share initial weights and the order of their images as long as nothing of that
changed. Where it did, their differences are those of independent runs, and the test holds as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from distillery.reporting.statistics.paired import LEVEL, compare, holm

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["same", "within noise", "moved", "not testable", "new", "gone"]
ACCURACY = "test_top1"
# What names a row of a report.
_ROW = ("table", "pair", "method", "variant")
# Numbers agree up to what reports are rounded to.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Change:
    """One number of a row, on both sides.

    Attributes:
        table, pair, method, variant: what names the row, see ``reporting.settings.Row``.
        title: what the report calls it.
        metric: column of ``tables/runs.csv``.
        before, after: means over the seeds of each side, NaN where it has none.
        seeds: number of seeds that both sides have.
        difference: after minus before, over these.
        low, high: its 95 % interval, NaN where there is none.
        p: of the paired t test, corrected by Holm's method over all rows of this metric.
        verdict: what that amounts to.
    """

    table: str
    pair: str
    method: str
    variant: str
    title: str
    metric: str
    before: float
    after: float
    seeds: int
    difference: float
    low: float
    high: float
    p: float
    verdict: Verdict


def changes(before: pd.DataFrame, after: pd.DataFrame, metrics: Iterable[str]) -> list[Change]:
    """Return every number of both reports: those of accuracy first, rows as the reports have them.

    Args:
        before: runs of the first report, as ``sides.read`` returns them.
        after: those of the second.
        metrics: columns to compare; those that neither side has are left out.
    """
    return [change for metric in metrics for change in _judged([*_of(before, after, metric)])]


def metrics_of(*sides: pd.DataFrame) -> list[str]:
    """Return what can be compared: accuracy, and what protocols measured on either side."""
    numeric = [name for side in sides for name in side.select_dtypes("number").columns]
    return [ACCURACY, *dict.fromkeys(name for name in numeric if "/" in name)]


def _of(before: pd.DataFrame, after: pd.DataFrame, metric: str) -> Iterator[Change]:
    """Yield the changes of one metric, with p values that are not corrected yet."""
    import pandas as pd

    sides = [_rows(side, metric) for side in (before, after)]
    for row in dict.fromkeys([*sides[1], *sides[0]]):
        (old_title, old), (new_title, new) = (
            side.get(row, ("", pd.Series(dtype=float))) for side in sides
        )
        shared = old.index.intersection(new.index)
        found = compare(new[shared], old[shared])
        table, pair, method, variant = row
        yield Change(
            table=table,
            pair=pair,
            method=method,
            variant=variant,
            title=new_title or old_title,
            metric=metric,
            before=float(old.mean()),
            after=float(new.mean()),
            seeds=len(shared),
            difference=found.difference,
            low=found.low,
            high=found.high,
            p=found.p,
            verdict=_verdict(old, new),
        )


def _rows(runs: pd.DataFrame, metric: str) -> dict[tuple[str, ...], tuple[str, pd.Series]]:
    """Return row -> title and values by seed."""
    if metric not in runs:
        return {}
    # Teachers have no pair and no method, but a title of their own.
    known = runs.dropna(subset=[metric]).fillna({"pair": "", "method": "", "variant": "{}"})
    known = known.assign(method=known["method"].where(known["method"] != "", known["title"]))
    return {
        tuple(map(str, row)): (
            str(group["title"].iloc[0]),
            group.drop_duplicates("seed").set_index("seed")[metric].astype(float),
        )
        for row, group in known.groupby([*_ROW], sort=False)
    }


def _verdict(before: pd.Series, after: pd.Series) -> Verdict:
    """Return what can be said before anything is tested."""
    if before.empty or after.empty:
        return "new" if before.empty else "gone"
    is_same = before.index.equals(after.index) and all(
        math.isclose(old, new, rel_tol=_EQUAL) for old, new in zip(before, after, strict=True)
    )
    return "same" if is_same else "not testable"


def _judged(found: list[Change]) -> list[Change]:
    """Correct the p values of a metric, and say of each difference whether it is beyond noise."""
    tested = [change.p if change.verdict == "not testable" else math.nan for change in found]
    judged = []
    for change, p in zip(found, holm(tested), strict=True):
        verdict = change.verdict
        if not math.isnan(p):
            verdict = "moved" if p < LEVEL else "within noise"
        judged.append(replace(change, p=p, verdict=verdict))
    return judged
