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
from distillery.reporting.formatting import counted, enumerated, millions, number, signed
from distillery.reporting.results.collected import TEACHER, Results, records
from distillery.reporting.results.comparisons import (
    against_baseline,
    best_methods,
    blocks,
    friedman_note,
    ranking,
)
from distillery.reporting.statistics.paired import FEWEST, LEVEL

# Of more pairs than these, a sentence does not list accuracies.
_FEW_PAIRS = 3
# Of more methods than these, a sentence does not list differences to the baseline.
_FEW_METHODS = 3


class _Winner(NamedTuple):
    """The best method of some pairs: what is the same for all of them."""

    method: str
    rivals: int
    is_tested: bool


def best(results: Results) -> Iterator[Finding]:
    """Yield who is best on which pairs, and what is not separable from it."""
    marks = best_methods(results)
    # The same for all pairs, so that pairs with the same rivals are named together.
    order = results.summary["mean"].groupby("method").mean().sort_values(ascending=False)
    # What the best of a pair is not separable from, by pair.
    won: dict[_Winner, dict[str, tuple[str, ...]]] = {}
    for pair in results.compared:
        means = _means(results, pair)
        if len(means):
            method = str(means["mean"].idxmax())
            others = [str(other) for other in order.index if other in means.index]
            marked = tuple(
                other for other in others if other != method and marks.get((pair, other), False)
            )
            winner = _Winner(method, len(means), bool(marks.get((pair, method), False)))
            won.setdefault(winner, {})[pair] = marked
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
    """Say which methods the best is not separable from, and where."""
    places: dict[tuple[str, ...], list[str]] = {}
    for pair, others in pairs.items():
        places.setdefault(others, []).append(pair)
    if len(places) == 1:
        return f"it is {_not_separable_from(results, next(iter(places)))}"
    if len(places) > _FEW_PAIRS:
        count = sum(bool(others) for others in pairs.values())
        return f"on {in_words(count)} of them others are not separable from it"
    parts = [
        f"{_on(results, of_others)} it is {_not_separable_from(results, others)}"
        for others, of_others in places.items()
    ]
    return ", and ".join(parts)


def _not_separable_from(results: Results, others: tuple[str, ...]) -> str:
    """Say what a method is not separable from; the baseline is no rival, and stands apart."""
    if not others:
        return "separable from all others"
    rivals = [results.labels[other] for other in others if other != results.baseline]
    from_rivals = f"from {named(rivals, 'others')}"
    if len(rivals) == len(others):
        return f"not separable {from_rivals}"
    from_baseline = f"from {results.labels[results.baseline]}, the baseline"
    if not rivals:
        return f"not separable {from_baseline}"
    return f"separable neither {from_baseline}, nor {from_rivals}"


def _too_few(count: int) -> str:
    seeds = "one seed" if count == 1 else f"{in_words(count)} seeds"
    return f"with {seeds} no difference can be tested, and small ones may be chance"


def over_baseline(results: Results) -> Iterator[Finding]:
    """Yield which methods are above, not separable from, or below the baseline."""
    found = against_baseline(results).sort_values("difference", ascending=False, kind="stable")
    if found.empty:
        return
    base, every = results.labels[results.baseline], len(found)
    is_apart = found["p_holm"] < LEVEL
    above = found[is_apart & (found["difference"] > 0)]
    below = found[is_apart & (found["difference"] < 0)][::-1]
    same = found[~is_apart]
    if len(above):
        yield _apart(results, above, f"better than {base}", every)
    if len(same):
        names = [results.labels[method] for method in same["method"]]
        seeds = in_words(int(same["seeds"].min()))
        text = f"{named(names)} {are(names)} not separable from {base} at {seeds} seeds"
        yield Finding("baseline", sentence(text), keys(same["runs"]))
    if len(below):
        yield _apart(results, below, f"worse than {base}", every)


def _apart(results: Results, rows: pd.DataFrame, relation: str, every: int) -> Finding:
    """Say which methods are apart from the baseline: each, or of many the first and the last.

    Args:
        results: what the report is about.
        rows: of ``against_baseline``, the largest difference first.
        relation: to which side of the baseline they are.
        every: how many methods are compared with it.
    """
    names = [results.labels[method] for method in rows["method"]]
    if len(names) <= _FEW_METHODS:
        differences = [
            f"{name} ({with_interval(row.difference, row.low, row.high)})"
            for name, row in zip(names, records(rows), strict=True)
        ]
        text = f"{enumerated(differences)} {are(names)} {relation}"
    else:
        first, last = rows.iloc[0], rows.iloc[-1]
        others = f"{in_words(every)} others"
        count = (
            f"all {others}" if len(names) == every else f"{in_words(len(names))} of the {others}"
        )
        text = (
            f"{count} are {relation}: {names[0]} by the most "
            f"({with_interval(first['difference'], first['low'], first['high'])}), {names[-1]} by "
            f"the least ({signed(last['difference'])})"
        )
    return Finding("baseline", sentence(text), keys(rows["runs"]))


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
