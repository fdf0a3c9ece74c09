"""Filters, selection and weights of AECRD's negatives against plain loops."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from aecrd_probes import aecrd, generator, side_of, value
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distillery.geometry.sphere import unit
from distillery.methods.aecrd.negatives import (
    class_probability,
    differs_from,
    inherits,
    log_hardness_weights,
    select,
    similarities,
    stays_clear,
)
from distillery.methods.aecrd.options import SelectionOptions
from distillery.methods.parts.contrast import info_nce

quick = settings(max_examples=25)


# Filters


@quick
@given(
    labels=st.lists(st.integers(0, 2), min_size=2, max_size=6),
    seed=st.integers(0, 99),
    own=st.booleans(),
)
def test_filters_equal_a_loop(labels: list[int], seed: int, own: bool) -> None:
    side, count = side_of(labels, seed), 5
    shape = (len(labels), count) if own else (count,)
    points = unit(torch.randn(*shape, 5, generator=generator(seed)).double())
    parents = torch.randint(len(labels), (*shape, 2), generator=generator(seed))
    classes = side.identity[parents]
    table = side.candidates
    found = {
        "similarity": similarities(side.anchors, points),
        "differs": differs_from(classes, side.identity),
        "inherits": inherits(classes, side.identity),
        "clear": stays_clear(side, points, table, parents),
    }
    logits = torch.randn(*shape, 3, generator=generator(seed + 1)).double()
    share, likeliest = class_probability(logits, side.identity)
    for i, k in itertools.product(range(len(labels)), range(count)):
        index = (i, k) if own else (k,)
        of_point = [labels[row] for row in parents[index].tolist()]
        near = max((points[index] @ table[row]).item() for row in parents[index].tolist())
        intruder = max(
            (points[index] @ table[j]).item() for j, y in enumerate(labels) if y == labels[i]
        )
        expected = {
            "similarity": (side.anchors[i] @ points[index]).item(),
            "differs": labels[i] not in of_point,
            "inherits": set(of_point) == {labels[i]},
            "clear": intruder <= near,
        }
        assert {name: each[i, k].item() for name, each in found.items()} == pytest.approx(expected)
        shares = logits[index].softmax(dim=0)
        assert share[i, k].item() == pytest.approx(shares[labels[i]].item())
        assert likeliest[i, k].item() == (shares.argmax().item() == labels[i])


# Selection


@quick
@given(
    seed=st.integers(0, 200),
    real=st.integers(1, 5),
    synthetic=st.integers(0, 6),
    options=st.sampled_from(
        [{}, {"top_k": 1}, {"top_k": 3}, {"skip_easy": True}, {"hardest_only": True}]
    ),
)
def test_selection_equals_a_loop(
    seed: int, real: int, synthetic: int, options: dict[str, Any]
) -> None:
    source = generator(seed)
    cosines = [torch.rand(real, count, generator=source) for count in (real, synthetic)]
    allowed = [torch.rand(real, count, generator=source) < 0.7 for count in (real, synthetic)]
    both = torch.cat(cosines, dim=1), torch.cat(allowed, dim=1)
    chosen = select(*both, SelectionOptions(**options))
    found = chosen[:, :real], chosen[:, real:]
    for i in range(real):
        of_real, of_made = (
            {k for k in range(part.shape[1]) if ok[i, k]}
            for part, ok in zip(cosines, allowed, strict=True)
        )
        values = sorted(cosines[0][i, k].item() for k in of_real)
        if options.get("skip_easy") and values:
            median = values[(len(values) - 1) // 2]
            of_made = {k for k in of_made if cosines[1][i, k] >= median}
        ranked = sorted(
            [(cosines[0][i, k].item(), 0, k) for k in of_real]
            + [(cosines[1][i, k].item(), 1, k) for k in of_made],
            reverse=True,
        )
        if "top_k" in options:
            of_made &= {k for _, kind, k in ranked[: options["top_k"]] if kind}
        if options.get("hardest_only"):
            of_real = {k for _, kind, k in ranked[:1] if not kind}
            of_made = {k for _, kind, k in ranked[:1] if kind}
        assert {*found[0][i].nonzero().flatten().tolist()} == of_real
        assert {*found[1][i].nonzero().flatten().tolist()} == of_made


# Weights


def reference_terms(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, counts of the negatives (0 for others) and own columns."""
    source = generator(seed)
    scores = 3 * torch.randn(4, 9, generator=source).double()
    counts = torch.rand(4, 9, generator=source).double() * 2
    counts = counts.masked_fill(torch.rand(4, 9, generator=source) < 0.3, 0)
    own = torch.arange(4)
    counts[own, own] = 0
    counts[3] = 0
    return scores, counts, own


@quick
@given(seed=st.integers(0, 200), beta=st.sampled_from([0.0, 0.5, 2.0]))
def test_hardness_weights_equal_a_loop(seed: int, beta: float) -> None:
    scores, counts, own = reference_terms(seed)
    weights = log_hardness_weights(scores, counts.log(), beta).exp()
    log_counts = (counts.log() + weights.log()).scatter(1, own[:, None], 0.0)
    total = 0.0
    for i in range(4):
        used = [j for j in range(9) if counts[i, j] > 0]
        number = sum(counts[i, j].item() for j in used)
        below = math.exp(scores[i, i])
        if used:
            mean = sum(counts[i, j].item() * math.exp(beta * scores[i, j]) for j in used) / number
        for j in used:
            weight = math.exp(beta * scores[i, j]) / mean
            assert weights[i, j].item() == pytest.approx(weight)
            below += counts[i, j].item() * weight * math.exp(scores[i, j])
        total += math.log(below) - scores[i, i].item()
    assert info_nce(scores, scores + log_counts).item() == pytest.approx(total / 4)


def test_equal_weights_are_the_plain_loss() -> None:
    labels = torch.arange(8) % 3
    plain = value(aecrd(), labels).item()
    tiny = value(aecrd(reweighting={"beta": 1e-12}), labels).item()
    harder = value(aecrd(reweighting={"beta": 1.0}), labels).item()
    assert tiny == pytest.approx(plain)
    assert harder > plain
