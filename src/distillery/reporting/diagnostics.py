"""What methods logged beside their loss, in the shape that their sections start from."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from distillery.reporting.results import Results


def logged(results: Results, networks: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return what networks logged under these names: ``epoch``, ``name``, ``row``, ``value``, ...

    Args:
        results: what the report is about.
        networks: rows of the collected runs, with the columns to keep and ``run``.
        names: what it is called in ``Method.diagnostics``.
    """
    found = results.diagnostics[results.diagnostics["name"].isin(list(names))]
    return networks.merge(found, on="run")


def last_epoch(found: pd.DataFrame) -> pd.DataFrame:
    """Return the last epoch of each run that logged a figure: one of few steps may have none."""
    return found[found["epoch"] == found.groupby(["run", "name"])["epoch"].transform("max")]
