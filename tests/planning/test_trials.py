"""What a tuning proposes: the entry itself, grids, and draws from ranges."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from distillery.core.randomness import generator
from distillery.experiment.tuning import Search
from distillery.planning.ranges import Range
from distillery.planning.trials import axes_of_search, bounds, proposals

PATH = ("tuning", "methods", "kd", "vary")
RANGES: dict[str, Any] = {
    "options": {"temperature": {"log-uniform": [1, 100]}},
    "weights": {"ce": {"uniform": [0, 2]}, "kd": [0.5, 1]},
    "training": {"instances": {"int": [1, 3]}},
}


def settings(search: Search, count: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    found = proposals(search, count, "kd", seed, PATH)
    return [dict(each.settings) for each in islice(found, 20)]


def test_a_grid_has_every_combination_after_the_entry_itself() -> None:
    vary = {"options": {"temperature": [2, 4]}, "training": {"lr": [0.1, 0.2]}}
    assert settings(Search(vary=vary)) == [
        {},
        {"options.temperature": 2, "training.lr": 0.1},
        {"options.temperature": 2, "training.lr": 0.2},
        {"options.temperature": 4, "training.lr": 0.1},
        {"options.temperature": 4, "training.lr": 0.2},
    ]


def test_single_variants_are_tried_as_they_are() -> None:
    vary = [{"training": {"lr": 0.1}}, {"weights": {"ce": 2}, "training": {"lr": 0.2}}]
    assert settings(Search(vary=vary)) == [
        {},
        {"training.lr": 0.1},
        {"weights.ce": 2, "training.lr": 0.2},
    ]
    assert axes_of_search(Search(vary=vary), PATH) == ("training.lr", "weights.ce")


def test_draws_stay_in_their_ranges_and_depend_on_seed_and_entry_alone() -> None:
    search = Search(vary=RANGES)
    found = settings(search, 20)
    own, *drawn = found
    assert own == {}
    for values in drawn:
        assert 1 <= values["options.temperature"] <= 100
        assert 0 <= values["weights.ce"] <= 2
        assert values["weights.kd"] in (0.5, 1)
        assert values["training.instances"] in (1, 2, 3)
    assert len({tuple(values.items()) for values in drawn}) == len(drawn)
    assert settings(search, 20) == found
    assert settings(search, 20, seed=1) != found
    other = islice(proposals(search, 20, "ce", 0, PATH), 20)
    assert [dict(each.settings) for each in other] != found


@pytest.mark.parametrize(
    ("range_", "transform"),
    [(Range("uniform", [2, 4]), np.asarray), (Range("log-uniform", [0.01, 1]), np.log)],
)
def test_numbers_are_spread_evenly(range_: Range, transform: Any) -> None:
    random = generator(0, "test")
    drawn = transform([range_.draw(random) for _ in range(4000)])
    low, high = transform(range_.values)
    counts, _ = np.histogram(drawn, bins=4, range=(low, high))
    assert counts.sum() == 4000
    # Four standard deviations of a binomial count.
    np.testing.assert_allclose(counts, 1000, atol=4 * np.sqrt(4000 * 0.25 * 0.75))


def test_both_ends_of_whole_numbers_are_drawn() -> None:
    random = generator(0, "test")
    drawn = {Range("int", [1, 3]).draw(random) for _ in range(100)}
    assert drawn == {1, 2, 3}


def test_the_bounds_of_ranges_are_variants() -> None:
    found = [dict(each.settings) for each in bounds(Search(vary=RANGES), PATH)]
    assert {"options.temperature": 100} in found
    assert {"weights.ce": 0} in found
    assert len(found) == 6
