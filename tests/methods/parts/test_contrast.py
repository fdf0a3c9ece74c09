"""InfoNCE with all that methods ask of it, against its definition candidate by candidate."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distillery.methods.parts.contrast import info_nce


def drawn(seed: int, rows: int, extra: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, counts in the denominators and weights of the positives, (B, M) each."""
    source = torch.Generator().manual_seed(seed)
    shape = rows, rows + extra
    scores, counts, weights = (torch.rand(shape, generator=source).double() for _ in range(3))
    own = torch.eye(*shape).bool()
    is_positive = own | (torch.rand(shape, generator=source) < 0.3)
    counts = counts.masked_fill(torch.rand(shape, generator=source) < 0.3, 0)
    return 6 * scores - 3, counts.masked_fill(own, 1), weights.masked_fill(~is_positive, 0)


def by_loop(scores: Tensor, counts: Tensor, weights: Tensor, *, apart: bool) -> float:
    total, columns = 0.0, range(scores.shape[1])
    for row in range(len(scores)):
        below = sum(counts[row, j].item() * math.exp(scores[row, j]) for j in columns)
        loss = 0.0
        for j in columns:
            rivals = below + math.exp(scores[row, j]) if apart else below
            loss += weights[row, j].item() * (math.log(rivals) - scores[row, j].item())
        total += loss / weights[row].sum().item()
    return total / len(scores)


sizes = {"seed": st.integers(0, 999), "rows": st.integers(1, 5), "extra": st.integers(0, 4)}


@given(**sizes, apart=st.booleans())
def test_positives_with_weights_equal_a_loop(seed: int, rows: int, extra: int, apart: bool) -> None:
    scores, counts, weights = drawn(seed, rows, extra)
    found = info_nce(scores, scores + counts.log(), weights, apart=apart)
    assert found.item() == pytest.approx(by_loop(scores, counts, weights, apart=apart))


@given(**sizes)
def test_the_own_candidate_is_the_positive_of_all_by_default(
    seed: int, rows: int, extra: int
) -> None:
    scores, counts, _ = drawn(seed, rows, extra)
    own = torch.eye(*scores.shape)
    expected = by_loop(scores, counts, own, apart=False)
    assert info_nce(scores, scores + counts.log()).item() == pytest.approx(expected)
    everything = by_loop(scores, torch.ones_like(counts), own, apart=False)
    assert info_nce(scores).item() == pytest.approx(everything)
    # The same by another way: a denominator of the positive and of what is not one.
    others = scores.masked_fill(own.bool(), -torch.inf)
    assert info_nce(scores, others, own, apart=True).item() == pytest.approx(everything)


def test_nothing_to_contrast_with_is_no_loss() -> None:
    scores = torch.randn(4, 4).double()
    alone = scores.masked_fill(~torch.eye(4).bool(), -torch.inf)
    assert info_nce(scores, alone).item() == 0
    assert info_nce(scores, torch.full_like(scores, -torch.inf), torch.eye(4), apart=True) == 0


@pytest.mark.parametrize("apart", [False, True])
def test_gradcheck(apart: bool) -> None:
    scores, counts, weights = drawn(0, 4, 3)

    def loss(scores: Tensor) -> Tensor:
        return info_nce(scores, scores + counts.log(), weights, apart=apart)

    assert torch.autograd.gradcheck(loss, scores.requires_grad_())
    assert torch.autograd.gradcheck(lambda s: info_nce(s, s + counts.log()), scores)
