"""Findings beside the comparison: claims, published numbers and ablations."""

from __future__ import annotations

from collections.abc import Iterator

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
from distillery.reporting.formatting import counted, number, p_text, signed, variant_text
from distillery.reporting.results import comparisons
from distillery.reporting.results.collected import LAST, Results, records
from distillery.reporting.statistics import seeds


def claims(results: Results) -> Iterator[Finding]:
    """Yield what became of each stated claim."""
    for row in records(comparisons.claims(results)):
        text = f"Claim “{row.text}”: {row.verdict}"
        if row.n:
            text += f" ({with_interval(row.difference, row.low, row.high)}"
            text += ")" if pd.isna(row.p_holm) else f", corrected {p_text(row.p_holm)})"
        yield Finding("claim", sentence(text), keys([row.runs]))


def published(results: Results) -> Iterator[Finding]:
    """Yield how far the numbers are from published ones; nothing where there are none."""
    found = comparisons.beside_published(results)
    if found.empty:
        return
    farthest = found.iloc[int(found["above"].abs().argmax())]
    text = (
        f"{counted(len(found), 'published number')} {'is' if len(found) == 1 else 'are'} repeated: "
        f"ours differ by {number(found['above'].abs().mean())} percentage points on average, at "
        f"most by {signed(farthest['above'])} ({results.labels[farthest['method']]} on "
        f"{results.pairs[farthest['pair']]})"
    )
    yield Finding("published", sentence(text), keys(found["runs"]))


def ablations(results: Results) -> Iterator[Finding]:
    """Yield the best variant of each ablation and pair, and what is not separable from it."""
    for name in results.report.ablations:
        study = results.ablation(name)
        means = seeds.over_runs(study.runs, ["pair", "variant"], LAST)
        marks = comparisons.best_variants(results, name)
        for pair, rows in means.groupby("pair", sort=False):
            if len(rows) < 2:
                continue
            top = rows.iloc[int(rows["mean"].argmax())]
            others = [
                variant_text(variant)
                for variant in rows["variant"]
                if variant != top["variant"] and marks.get((pair, variant), False)
            ]
            if not marks.get((pair, top["variant"]), False):
                apart = "too few seeds to test a difference"
            elif len(others) == len(rows) - 1:
                apart = "no other is separable from it"
            elif others:
                apart = f"{named(others, 'variants')} {are(others)} not separable from it"
            else:
                apart = "it is separable from all others"
            text = (
                f"{study.title} ({study.label}, {results.pairs.get(str(pair), pair)}): of "
                f"{in_words(len(rows))} variants {variant_text(top['variant'])} has the highest "
                f"mean accuracy ({percent(top['mean'])}); {apart}"
            )
            yield Finding("ablation", sentence(text), keys(rows["runs"]))
