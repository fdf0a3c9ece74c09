"""Statistics over the seeds of a network."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from distillery.reporting.statistics.rounding import significant


def over_seeds(values: pd.DataFrame, by: Sequence[str], metric: str) -> pd.DataFrame:
    """Return ``n``, ``mean`` and ``std`` (n - 1 in the denominator) of ``metric`` for each group.

    Missing values do not count, and groups without a value are absent. One value has no ``std``.
    """
    groups = values.dropna(subset=[metric]).groupby(list(by), sort=False, dropna=False)
    found = groups[metric].agg(n="size", mean="mean", std="std").reset_index()
    return found.assign(
        mean=significant(found["mean"]), std=significant(found["std"], found["mean"])
    )


def over_runs(runs: pd.DataFrame, by: Sequence[str], metric: str) -> pd.DataFrame:
    """Return the same with ``runs``: the keys of the runs that a group's numbers come from."""
    groups = runs.dropna(subset=[metric]).groupby(list(by), sort=False, dropna=False)
    keys = groups["key"].agg(" ".join).rename("runs").reset_index(drop=True)
    return over_seeds(runs, by, metric).join(keys)


def gain(summary: pd.DataFrame, reference: pd.Series) -> pd.Series:
    """Return the difference of each mean to ``reference``, a mean for each pair."""
    means = summary["mean"]
    return significant(means - summary["pair"].map(reference).astype(float), means)
