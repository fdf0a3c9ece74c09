from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distillery.core.randomness import generator, permuted, seed_for, torch_generator


def test_draws_depend_on_every_argument() -> None:
    seeds = {seed_for(*arguments) for arguments in [(0, "a"), (1, "a"), (0, "b"), (0, "a", 1)]}
    assert len(seeds) == 4


def test_the_same_arguments_give_the_same_draw() -> None:
    assert generator(1, "x", 2).random() == generator(1, "x", 2).random()
    first = torch.rand(3, generator=torch_generator(1, "x"))
    assert torch.equal(first, torch.rand(3, generator=torch_generator(1, "x")))


@given(size=st.integers(1, 200), seed=st.integers(0, 2**31))
def test_every_item_meets_every_element_once(size: int, seed: int) -> None:
    index = np.arange(5)
    rows = np.stack([permuted(place, index, size, seed, "views") for place in range(size)])
    assert (np.sort(rows, axis=0) == np.arange(size)[:, None]).all()


def test_an_item_keeps_its_order_in_any_company() -> None:
    alone = permuted(7, np.array([41]), 162, 0, "views")
    together = permuted(7, np.arange(100), 162, 0, "views")
    assert alone[0] == together[41]


@pytest.mark.parametrize("place", [0, 80, 161])
def test_elements_are_uniform_over_items(place: int) -> None:
    counts = np.bincount(permuted(place, np.arange(50_000), 162, 3, "views"), minlength=162)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_successive_places_are_independent() -> None:
    first, second = (permuted(place, np.arange(50_000), 9, 3, "views") for place in (0, 1))
    pairs = np.bincount(first * 9 + second, minlength=81).reshape(9, 9)
    assert (np.diag(pairs) == 0).all()
    assert stats.chisquare(pairs[~np.eye(9, dtype=bool)]).pvalue > 1e-4
