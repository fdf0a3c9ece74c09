"""What methods logged beside their loss, in the shape that their sections start from."""

from __future__ import annotations

from collections.abc import Container, Iterable

import pandas as pd

from distillery.reporting.results.collected import Results
from distillery.reporting.statistics.seeds import over_runs


def logged(
    results: Results, networks: pd.DataFrame, names: Iterable[str], percent: Container[str] = ()
) -> pd.DataFrame:
    """Return what networks logged under these names: ``epoch``, ``name``, ``row``, ``value``, ...

    Args:
        results: what the report is about.
        networks: rows of the collected runs, with the columns to keep and ``run``.
        names: what it is called in ``Method.diagnostics``.
        percent: names of shares that become percentages.
    """
    found = results.diagnostics[results.diagnostics["name"].isin(list(names))]
    factors = [100 if name in percent else 1 for name in found["name"]]
    return networks.merge(found.assign(value=found["value"] * factors), on="run")


def last_epoch(found: pd.DataFrame) -> pd.DataFrame:
    """Return the last epoch of each run that logged a metric: one of few steps may have none."""
    return found[found["epoch"] == found.groupby(["run", "name"])["epoch"].transform("max")]


def at_the_end(found: pd.DataFrame, by: Iterable[str]) -> pd.DataFrame:
    """Return n, mean, std and runs of each ``name`` in the last epoch, by these columns."""
    return over_runs(last_epoch(found), [*by, "name"], "value")
