"""What tables print in bold: the best of a group, and all that is not separable from it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from distillery.reporting.statistics.paired import FEWEST, LEVEL, compare, holm


def is_best(runs: pd.DataFrame, by: Sequence[str], unit: str, metric: str) -> pd.Series:
    """Tell for each unit of each group whether it is the best, or not separable from it.

    Units are compared with the best mean of their group by paired t tests over the seeds that they
    share, with Holm's correction in the group. A unit that shares too few seeds cannot be told from
    the best. Where the best has too few seeds, or no rival, no unit of the group is marked.

    Args:
        runs: a row for each run, with its ``seed``.
        by: columns that tell the groups apart.
        unit: column that tells the units of a group apart.
        metric: what is compared; missing values do not count.

    Returns:
        True or False, indexed by ``by`` and ``unit``.
    """
    known = runs.dropna(subset=[metric])
    names = [*by, unit]
    marks = {
        (*group, name): mark
        for group, rows in known.groupby(list(by), sort=False)
        for name, mark in _marks(rows, unit, metric).items()
    }
    index = pd.MultiIndex.from_tuples([*marks], names=names) if marks else _no_index(names)
    return pd.Series([*marks.values()], index, dtype=bool)


def _marks(rows: pd.DataFrame, unit: str, metric: str) -> dict[object, bool]:
    """Return unit -> whether it is marked, in one group."""
    values = rows.pivot_table(metric, "seed", unit, sort=False)
    best = values.mean().idxmax()
    if values.shape[1] == 1 or values[best].count() < FEWEST:
        return dict.fromkeys(values, False)
    rivals = [name for name in values if name != best]
    shared = (values[[best, name]].dropna() for name in rivals)
    tests = holm([compare(both.iloc[:, 0], both.iloc[:, 1]).p for both in shared])
    return {best: True} | {name: not p < LEVEL for name, p in zip(rivals, tests, strict=True)}


def _no_index(names: list[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([[] for _ in names], names=names)
