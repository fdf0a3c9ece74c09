from __future__ import annotations

import numpy as np
import pytest

from distillery.embeddings.views import ViewSchedule


def test_over_all_slots_each_image_meets_each_view_once() -> None:
    schedule = ViewSchedule(views=162, slots=162, seed=0)
    index = np.arange(7)
    met = np.stack([schedule.view(slot, index) for slot in range(162)])
    assert (np.sort(met, axis=0) == np.arange(162)[:, None]).all()


def test_images_have_orders_of_their_own() -> None:
    schedule = ViewSchedule(views=162, slots=162, seed=0)
    first = schedule.view(0, np.arange(200))
    assert len(np.unique(first)) > 90


def test_fewer_slots_are_the_first_of_more() -> None:
    index = np.arange(20)
    few, many = ViewSchedule(162, 10, 5), ViewSchedule(162, 162, 5)
    assert (few.view(9, index) == many.view(9, index)).all()
    assert few.slot_of(23) == 3


@pytest.mark.parametrize("slots", [0, 163])
def test_impossible_numbers_of_slots_are_refused(slots: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 162"):
        ViewSchedule(162, slots, 0)
