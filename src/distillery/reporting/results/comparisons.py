"""Methods beside each other over seeds and pairs: what is compared, and what comes of it.

A block is a seed of a pair: all methods have the same teacher, initial weights and order of images
in it. Blocks of pairs in which methods share fewer than ``FEWEST`` seeds are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import pandas as pd

from distillery.reporting.formatting import counted, p_text
from distillery.reporting.results.collected import LAST, Results, once
from distillery.reporting.settings import ClaimSettings, PublishedNumber
from distillery.reporting.statistics.best import is_best
from distillery.reporting.statistics.paired import FEWEST, LEVEL, Paired, compare, holm
from distillery.reporting.statistics.ranks import average_ranks, critical_difference, friedman
from distillery.reporting.statistics.rounding import significant, significant_frame

SUPPORTED, CONTRADICTED, OPEN, UNTESTED = (
    "supported",
    "contradicted",
    "not separable",
    "too few seeds",
)
_TOO_FEW = "Nothing is tested: no two methods share three seeds of each pair that has so many."
_COMPARED = ["better", "worse", *Paired._fields, "p_holm", "runs"]


@once
def blocks(results: Results) -> pd.DataFrame:
    """Return the blocks that rankings are about: a row for each, a column for each method.

    The methods are those that every pair with enough seeds was run for. There is no row where these
    are not at least two.
    """
    accuracies = by_seed(results)
    seeds = accuracies.groupby(level="pair", sort=False).count() >= FEWEST
    pairs = seeds[seeds.sum(axis="columns") > 1]
    methods = [method for method in results.methods if method in pairs and pairs[method].all()]
    if len(pairs) == 0 or len(methods) < 2:
        return accuracies.iloc[:0, :0]
    return _of_enough_seeds(accuracies.loc[[*pairs.index], methods].dropna())


@once
def ranking(results: Results) -> pd.DataFrame:
    """Return methods by average rank, each compared with the first: ``method``, ``rank``, ...

    The columns of the comparison are those of ``differences``, missing in the first row; p is
    corrected for all comparisons of two methods.
    """
    ranks = average_ranks(blocks(results)).rename("rank").rename_axis("method").reset_index()
    first = ranks["method"].iloc[:1]
    found = differences(results)
    to_first = found[found["better"].isin(first)].drop(columns=["better", "runs"])
    table = ranks.merge(to_first, "left", left_on="method", right_on="worse")
    runs = _runs(results, blocks(results))
    return significant_frame(
        table.drop(columns="worse").assign(runs=table["method"].map(runs).astype(object))
    )


@once
def differences(results: Results) -> pd.DataFrame:
    """Return all comparisons of two methods over the blocks, the one of better rank first.

    Columns: ``better``, ``worse``, those of ``Paired``, ``p_holm`` and ``runs``.
    """
    shared = blocks(results)
    runs = _runs(results, shared)
    return _corrected(
        {
            "better": better,
            "worse": worse,
            **compare(shared[better], shared[worse])._asdict(),
            "runs": f"{runs[better]} {runs[worse]}",
        }
        for better, worse in combinations(average_ranks(shared).index, 2)
    )


@once
def against_baseline(results: Results) -> pd.DataFrame:
    """Return each method compared with the baseline over the blocks that both have.

    Columns: ``method``, those of ``Paired``, ``p_holm``, ``seeds`` (the fewest of a pair) and
    ``runs``.
    Methods that share too few seeds with the baseline in every pair are left out.
    """
    accuracies, rows = by_seed(results), []
    others = [method for method in accuracies if method != results.baseline]
    for method in others if results.baseline in accuracies else ():
        both = _of_enough_seeds(accuracies[[method, results.baseline]].dropna())
        if len(both):
            runs = _runs(results, both)
            found = compare(both[method], both[results.baseline])._asdict()
            seeds = int(both.groupby(level="pair").size().min())
            rows.append({"method": method, **found, "seeds": seeds, "runs": " ".join(runs)})
    return _corrected(rows, ["method", *Paired._fields, "p_holm", "seeds", "runs"])


@once
def claims(results: Results) -> pd.DataFrame:
    """Return the stated claims with what became of them: ``text``, ``pairs``, ..., ``verdict``.

    The other columns are those of ``differences``; p is corrected for all claims.
    """
    known = [_claim(results, claim) for claim in results.report.claims]
    found = _corrected(known, ["text", *_COMPARED, "pairs", "tested"])
    verdicts = [_verdict(row) for row in found.itertuples()]
    return found.drop(columns="tested").assign(verdict=pd.Series(verdicts, dtype=object))


@once
def beside_published(results: Results) -> pd.DataFrame:
    """Return the published numbers beside ours: ``mean``, ``std``, ``runs`` and ``above``."""
    rows = [number.model_dump() for number in results.report.published.numbers]
    columns = [*PublishedNumber.model_fields]
    ours = results.summary[["mean", "std", "runs"]]
    data = pd.DataFrame(rows, columns=columns).join(ours, on=["pair", "method"])
    data = data.dropna(subset=["mean"])
    return data.assign(above=significant(data["mean"] - data["top1"]))


@once
def gain_intervals(results: Results) -> pd.DataFrame:
    """Return the 95 % intervals of gains over the baseline: (pair, method) -> ``low``, ``high``."""
    accuracies = by_seed(results)
    found: dict[tuple[Any, ...], tuple[float, float]] = {}
    if results.baseline in accuracies:
        for pair, rows in accuracies.groupby(level="pair", sort=False):
            for method in rows.columns.drop(results.baseline):
                both = rows[[method, results.baseline]].dropna()
                gain = compare(both[method], both[results.baseline])
                found[pair, method] = gain.low, gain.high
    ids = zip(*found, strict=True) if found else ([], [])
    index = pd.MultiIndex.from_arrays([*map(list, ids)], names=["pair", "method"])
    table = pd.DataFrame([*found.values()], index, ["low", "high"], dtype=float)
    return significant_frame(table)


def basis(results: Results) -> str:
    """Say over how many seeds and pairs the methods are compared."""
    shared = blocks(results)
    if shared.empty:
        return _TOO_FEW
    pairs = shared.index.get_level_values("pair").nunique()
    left_out = len(results.methods) - shared.shape[1]
    rest = f" {left_out} that not each of these pairs was run for are left out." if left_out else ""
    return (
        f"{shared.shape[1]} methods over {len(shared)} blocks, each a seed of one of "
        f"{counted(pairs, 'pair')} of networks.{rest} Blocks of a pair share "
        "teacher and data: they speak of these networks, not of others."
    )


def friedman_note(results: Results) -> str:
    """Say what Friedman's test finds, and the critical difference of mean ranks."""
    shared = blocks(results)
    p = friedman(shared)
    found = "" if pd.isna(p) else f"Friedman’s test: {p_text(p)}. "
    distance = critical_difference(shared.shape[1], len(shared))
    return f"{found}Critical difference of two mean ranks (Nemenyi, 5 %): {distance:.2f}."


@once
def best_methods(results: Results) -> pd.Series:
    """Tell for each (pair, method) whether it is the pair's best or not separable from it."""
    return is_best(results.students, ["pair"], "method", LAST)


@once
def best_variants(results: Results, ablation: str) -> pd.Series:
    """Tell the same for each (pair, variant) of an ablation."""
    return is_best(results.ablation(ablation).runs, ["pair"], "variant", LAST)


@once
def by_seed(results: Results) -> pd.DataFrame:
    """Return accuracy at the last epoch by (pair, seed), a column for each method."""
    students = results.students.dropna(subset=[LAST])
    table = students.pivot_table(LAST, ["pair", "seed"], "method", sort=False)
    return table[[method for method in results.methods if method in table]]


def _of_enough_seeds(accuracies: pd.DataFrame) -> pd.DataFrame:
    """Leave out the blocks of pairs that have too few of them."""
    pairs = accuracies.index.get_level_values("pair")
    counts = pairs.value_counts()
    return accuracies[pairs.isin(counts.index[counts >= FEWEST])]


def _runs(results: Results, shared: pd.DataFrame) -> pd.Series:
    """Return method -> keys of the runs of these blocks, a space between them."""
    students = results.students.set_index(["pair", "seed"])
    used = students[students.index.isin(shared.index) & students["method"].isin(shared.columns)]
    return used.groupby("method", sort=False)["key"].agg(" ".join)


def _claim(results: Results, claim: ClaimSettings) -> dict[str, Any]:
    sides = [claim.better, claim.worse]
    both = by_seed(results).reindex(columns=sides).dropna()
    enough = _of_enough_seeds(both)
    used = both if enough.empty else enough
    first, second = (results.labels.get(side, side) for side in sides)
    runs = _runs(results, used)
    return {
        "text": claim.text or f"{first} > {second}",
        **dict(zip(("better", "worse"), sides, strict=True)),
        **compare(used[claim.better], used[claim.worse])._asdict(),
        # Several pairs of too few seeds each are not enough either.
        **({} if len(enough) else dict.fromkeys(("low", "high", "p", "effect"), float("nan"))),
        "runs": " ".join(runs.reindex(sides).dropna()),
        "pairs": used.index.get_level_values("pair").nunique(),
        "tested": len(enough) > 0,
    }


def _corrected(compared: Iterable[dict[str, Any]], columns: list[str] = _COMPARED) -> pd.DataFrame:
    """Return comparisons of one family as a table, with Holm's correction."""
    table = pd.DataFrame([*compared], columns=[name for name in columns if name != "p_holm"])
    corrected = table.assign(p_holm=holm(table["p"].astype(float)))[columns]
    return significant_frame(corrected)


def _verdict(row: Any) -> str:
    if not row.tested:
        return UNTESTED
    if not row.p_holm < LEVEL:
        return OPEN
    return SUPPORTED if row.difference > 0 else CONTRADICTED
