"""Findings of the comparison: the best method of each pair, and who is above the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from distillery.reporting.findings.model import Finding, keys
from distillery.reporting.findings.words import (
    are,
    in_words,
    named,
    percent,
    sentence,
    with_interval,
)
from distillery.reporting.formatting import counted, enumerated, millions, number
from distillery.reporting.results.collected import LAST, TEACHER, Results, records
from distillery.reporting.results.comparisons import (
    against_baseline,
    blocks,
    friedman_note,
    ranking,
)
from distillery.reporting.statistics.best import is_best
from distillery.reporting.statistics.paired import FEWEST, LEVEL

# Of more pairs than these, a sentence does not list accuracies.
_FEW_PAIRS = 3


class _Winner(NamedTuple):
    """The best method of some pairs: what is the same for all of them."""

    method: str
    rivals: int
    is_tested: bool


def best(results: Results) -> Iterator[Finding]:
    """Yield who is best on which pairs, and what is not separable from it."""
    marks = is_best(results.students, ["pair"], "method", LAST)
    # What is not separable from the best of a pair, by pair.
    won: dict[_Winner, dict[str, tuple[str, ...]]] = {}
    for pair in results.compared:
        means = _means(results, pair)
        if len(means):
            method = str(means["mean"].idxmax())
            marked = [other for other in means.index if marks.get((pair, other), False)]
            others = tuple(results.labels[other] for other in marked if other != method)
            winner = _Winner(method, len(means), bool(marked))
            won.setdefault(winner, {})[pair] = others
    for winner, pairs in sorted(won.items(), key=lambda item: -len(item[1])):
        yield _best(results, winner, pairs)


def _best(results: Results, winner: _Winner, pairs: Mapping[str, tuple[str, ...]]) -> Finding:
    rows = pd.concat([_means(results, pair).loc[[winner.method]] for pair in pairs])
    where = _on(results, [*pairs])
    if len(pairs) <= _FEW_PAIRS:
        where += f" ({enumerated([percent(mean) for mean in rows['mean']])})"
    label, methods = results.labels[winner.method], f"of {in_words(winner.rivals)} methods {where}"
    if winner.rivals == 1:
        text = f"{label} alone was run {where}"
    elif not winner.is_tested:
        text = f"{label} has the highest mean accuracy {methods}; {_too_few(int(rows['n'].min()))}"
    elif not any(pairs.values()):
        text = f"{label} is the best {methods}, separable from all others"
    else:
        text = f"{label} has the highest mean accuracy {methods}; {_inseparable(results, pairs)}"
    return Finding("best", sentence(text), keys(rows["runs"]))


def _inseparable(results: Results, pairs: Mapping[str, tuple[str, ...]]) -> str:
    """Say which methods are not separable from the best, and where."""
    places: dict[tuple[str, ...], list[str]] = {}
    for pair, others in pairs.items():
        places.setdefault(others, []).append(pair)
    if len(places) == 1:
        (others,) = places
        return f"{named(others)} {are(others)} not separable from it"
    if len(places) > _FEW_PAIRS:
        count = sum(bool(others) for others in pairs.values())
        return f"on {in_words(count)} of them others are not separable from it"
    parts = [f"{named(others)} {_on(results, of_others)}" for others, of_others in places.items()]
    return f"not separable from it are {', and '.join(parts)}"


def _too_few(count: int) -> str:
    seeds = "one seed" if count == 1 else f"{in_words(count)} seeds"
    return f"with {seeds} no difference can be tested, and small ones may be chance"


def over_baseline(results: Results) -> Iterator[Finding]:
    """Yield which methods are above, below or not separable from the baseline."""
    found = against_baseline(results)
    if found.empty:
        return
    base = results.labels[results.baseline]
    is_apart = found["p_holm"] < LEVEL
    above = found[is_apart & (found["difference"] > 0)]
    below = found[is_apart & (found["difference"] < 0)]
    same = found[~is_apart]
    for rows, relation in ((above, "better"), (below, "worse")):
        if len(rows):
            ordered = rows.reindex(rows["difference"].abs().sort_values(ascending=False).index)
            texts = [
                f"{results.labels[row.method]} ({with_interval(row.difference, row.low, row.high)})"
                for row in records(ordered)
            ]
            text = f"{named(texts)} {are(texts)} {relation} than {base}"
            yield Finding("baseline", sentence(text), keys(rows["runs"]))
    if len(same):
        labels = [results.labels[method] for method in same["method"]]
        seeds = int(same["seeds"].min())
        text = f"{named(labels)} {are(labels)} not separable from {base} at {in_words(seeds)} seeds"
        yield Finding("baseline", sentence(text), keys(same["runs"]))


def average_ranks(results: Results) -> Iterator[Finding]:
    """Yield who is first by average rank, where ranks say more than the accuracies of one pair."""
    shared = blocks(results)
    if shared.empty or shared.shape[1] < FEWEST:
        return
    table = ranking(results)
    first, second = table.iloc[0], table.iloc[1]
    text = (
        f"By average rank over {counted(len(shared), 'block')} (seeds of a pair) "
        f"{results.labels[first['method']]} is first ({number(first['rank'])}), before "
        f"{results.labels[second['method']]} ({number(second['rank'])}). {friedman_note(results)}"
    )
    yield Finding("ranks", text, keys(table["runs"]))


def sizes(results: Results) -> Iterator[Finding]:
    """Yield how much smaller students are than teachers, and what of their accuracy is left."""
    for pair, names in results.compared.items():
        settings, means = results.report.pairs[pair], _means(results, pair)
        teacher: Any = results.summary.loc[(pair, TEACHER)]
        if len(means) and settings.teacher_parameters and settings.student_parameters:
            best: Any = means.iloc[int(means["mean"].argmax())]
            ratio = settings.teacher_parameters / settings.student_parameters
            text = (
                f"the student {names.student} has {millions(settings.student_parameters)} M "
                f"parameters, {number(ratio, 1)} times fewer than {names.teacher} "
                f"({millions(settings.teacher_parameters)} M)"
            )
            if teacher["n"]:
                text += (
                    f"; its best mean accuracy ({results.labels[str(best.name)]}, "
                    f"{percent(best['mean'])}) is "
                    f"{_distance(best['mean'] - teacher['mean'])} the teacher’s "
                    f"({percent(teacher['mean'])})"
                )
            yield Finding("size", sentence(text), keys([best["runs"], teacher["runs"]]))


def _distance(difference: float) -> str:
    side = "above" if difference > 0 else "below"
    return f"{number(abs(difference))} percentage points {side}"


def _means(results: Results, pair: str) -> pd.DataFrame:
    """Return n, mean and runs of the pair's methods that have an accuracy, by method."""
    rows = results.summary.reset_index("pair")
    of_pair = rows[rows["pair"] == pair]
    return of_pair[(of_pair["n"] > 0) & (of_pair.index != TEACHER)]


def _on(results: Results, pairs: list[str]) -> str:
    """Say on which pairs something holds."""
    every = len(results.compared)
    if len(pairs) == every > 1:
        return "on both pairs" if every == 2 else f"on all {in_words(every)} pairs"
    names = [str(results.pairs[pair]) for pair in pairs]
    if len(pairs) <= _FEW_PAIRS:
        return f"on {enumerated(names)}"
    return f"on {in_words(len(pairs))} of {in_words(every)} pairs"
