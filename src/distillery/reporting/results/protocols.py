"""What a protocol measured, in the shape that tables and figures of its section start from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from distillery.reporting.results.collected import LAST, Results, records
from distillery.reporting.statistics import seeds

_IDENTITY = ("table", "pair", "method", "title", "variant", "run", "key", "teacher_key", "arch")


class NetworkDetails(NamedTuple):
    """A network that a figure of single runs shows: what it is called, and its details."""

    label: str
    details: pd.DataFrame


def measured(networks: pd.DataFrame, entry: str) -> pd.DataFrame:
    """Return the networks that a protocol measured, with its metrics under their plain names.

    Args:
        networks: rows of the collected runs.
        entry: id of the protocol's entry.
    """
    prefix = f"{entry}/"
    columns = [str(name) for name in networks.columns]
    names = {name: name.removeprefix(prefix) for name in columns if name.startswith(prefix)}
    known = networks[networks[[*names]].notna().any(axis=1)]
    return known[[*_IDENTITY, LAST, *names]].rename(columns=names)


def compared(results: Results) -> pd.DataFrame:
    """Return the rows of the comparison: all teachers, each once, then the students."""
    return pd.concat([results.teachers, results.students], ignore_index=True)


def of_pairs(results: Results) -> pd.DataFrame:
    """Return the rows of the comparison with each teacher in all pairs that it teaches."""
    teachers = [results.teacher_of(pair).assign(pair=pair) for pair in results.compared]
    return pd.concat([*teachers, results.students], ignore_index=True)


def means(networks: pd.DataFrame, by: Iterable[str], metrics: Iterable[str]) -> pd.DataFrame:
    """Return n, mean, std and runs of several columns of every network, one a row.

    Args:
        networks: rows as ``measured`` returns them.
        by: columns that tell networks apart; seeds of one network share them.
        metrics: columns of numbers; those that are not there are left out.
    """
    there = [metric for metric in metrics if metric in networks]
    values = networks.melt([*by, "key"], there, var_name="metric", ignore_index=False)
    return seeds.over_runs(values.sort_index(kind="stable"), [*by, "metric"], "value")


def points(networks: pd.DataFrame, by: Iterable[str], x: str, y: str) -> pd.DataFrame:
    """Return ``mean_x``, ``std_x``, ``mean_y`` and ``std_y`` of networks that have both metrics."""
    groups = [*by]
    first, second = (
        means(networks, groups, [metric]).set_index(groups)[["mean", "std"]] for metric in (x, y)
    )
    return first.join(second, how="inner", lsuffix="_x", rsuffix="_y").reset_index()


def pairs_of(results: Results, rows: pd.DataFrame) -> list[str]:
    """Return the ids of the pairs in these rows, in the order of the report."""
    found = set(rows["pair"])
    return [pair for pair in results.pairs if pair in found]


def first_seeds(
    results: Results, details: pd.DataFrame
) -> tuple[str, list[NetworkDetails], list[NetworkDetails]]:
    """Return what a figure of single runs shows: the first pair with details, its first seeds.

    Returns:
        The pair's id, its teacher if that has details, and its methods in their order; "" and
        nothing else where no student has details.
    """
    about = ["run", "teacher_key"]
    found = dict(iter(details.groupby(about, sort=False)))
    of_network = results.students[about].itertuples(index=False, name=None)
    students = results.students.loc[[network in found for network in of_network]]
    pair = next(iter(pairs_of(results, students)), "")
    first = students[students["pair"] == pair].drop_duplicates("method").set_index("method")
    return (
        pair,
        [
            NetworkDetails("Teacher", found[row.run, row.key])
            for row in records(results.teacher_of(pair))
            if (row.run, row.key) in found
        ],
        [
            NetworkDetails(label, found[first.loc[method, "run"], first.loc[method, "teacher_key"]])
            for method, label in results.labels.items()
            if method in first.index
        ],
    )
