"""The trials of a tuning, in the shape that tables and figures start from."""

from __future__ import annotations

import math

import pandas as pd

from distillery.reporting.results.collected import Results
from distillery.reporting.statistics import seeds
from distillery.reporting.statistics.rounding import significant

_BY = ["pair", "method", "trial"]
_COLUMNS = (*_BY, "title", "settings", "is_selected", "failure", "seed", "accuracy", "key")


def trials(results: Results, entry: str) -> pd.DataFrame:
    """Return a row for each trial, in the order in which they were tried.

    Columns: ``pair``, ``method``, ``trial`` (from 0: the method entry as it stands), ``title``,
    ``settings`` (JSON, axis -> value), ``is_selected``, ``failure`` (empty unless a run diverged),
    ``n``, ``mean`` and ``std`` of the accuracy on the held-out images in percent (missing where a
    run failed), and ``runs``, their keys.
    """
    found = results.details(entry)
    if found.empty:
        return pd.DataFrame(columns=[*_COLUMNS[:7], "n", "mean", "std", "runs"])
    groups = found.groupby(_BY, sort=False)
    tried = groups[["title", "settings", "is_selected"]].first()
    tried["failure"] = groups["failure"].max()
    tried["runs"] = groups["key"].agg(" ".join)
    means = seeds.over_seeds(found, _BY, "accuracy").set_index(_BY)
    tried = tried.join(means)
    tried.loc[tried["failure"] != "", ["mean", "std"]] = math.nan
    return tried.fillna({"n": 0}).astype({"n": int}).reset_index()


def selections(tried: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each selection, with how far it is ahead.

    Args:
        tried: as ``trials`` returns it.

    Returns:
        ``pair``, ``method``, ``title``, ``trials`` (how many), ``failed`` (how many), ``trial``,
        ``settings``, ``n``, ``mean`` and ``std`` of the selected one, ``over_default`` and
        ``over_second`` (differences of means; missing where there is nothing to compare with), and
        ``runs``, the keys of all trials.
    """
    rows = []
    for _, group in tried.groupby(["pair", "method"], sort=False):
        is_selected = group["is_selected"].astype(bool)
        chosen, others = group[is_selected].iloc[0], group[~is_selected]
        own = group.loc[group["trial"] == 0, "mean"].iloc[0]
        rows.append(
            {
                **chosen[["pair", "method", "title", "trial", "settings", "n", "mean", "std"]],
                "trials": len(group),
                "failed": int((group["failure"] != "").sum()),
                "over_default": chosen["mean"] - own,
                "over_second": chosen["mean"] - others["mean"].max(),
                "runs": " ".join(group["runs"]),
            }
        )
    found = pd.DataFrame(rows)
    for margin in ("over_default", "over_second") if rows else ():
        found[margin] = significant(found[margin], found["mean"])
    return found
