"""The order of an epoch's images, plain and class-balanced."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.core.errors import UserError
from distillery.training import sampler

LABELS = np.random.default_rng(0).integers(10, size=400)


def test_plain_order_shows_every_image_once() -> None:
    order = sampler.order(LABELS, 32, None, seed=3, epoch=1)
    assert sorted(order) == list(range(400))
    assert not np.array_equal(order, sampler.order(LABELS, 32, None, seed=3, epoch=2))
    assert np.array_equal(order, sampler.order(LABELS, 32, None, seed=3, epoch=1))


@settings(deadline=None, max_examples=50)
@given(
    classes=st.integers(4, 12),
    images=st.integers(60, 400),
    shape=st.sampled_from([(8, 2), (16, 4), (12, 3), (4, 1)]),
    seed=st.integers(0, 1000),
)
def test_balanced_batches_hold_equally_many_images_of_different_classes(
    classes: int, images: int, shape: tuple[int, int], seed: int
) -> None:
    batch, instances = shape
    labels = np.arange(images) % classes
    order = sampler.order(labels, batch, instances, seed, epoch=0)
    assert len(set(order)) == len(order)
    assert len(order) % batch == 0
    # Of equally large classes, what is left out is less than a group a class and a batch.
    assert images - len(order) < classes * instances + batch
    for start in range(0, len(order), batch):
        counts = np.bincount(labels[order[start : start + batch]], minlength=classes)
        assert set(counts) <= {0, instances}


def test_balanced_epochs_differ_and_meet_every_image_sooner_or_later() -> None:
    seen = [set(sampler.order(LABELS, 32, 4, seed=0, epoch=epoch)) for epoch in range(12)]
    assert seen[0] != seen[1]
    assert set.union(*seen) == set(range(400))


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(UserError, match=r"training\.instances: found 2; .* 16 classes, and 10 "):
        sampler.order(LABELS, 32, 2, seed=0, epoch=0)
