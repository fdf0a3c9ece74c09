"""Class means and running centroids of AECRD."""

from __future__ import annotations

import torch
from aecrd_probes import aecrd, side_of, value
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.geometry.sphere import unit
from distillery.methods.aecrd.centroids import RunningCentroids, class_means


@settings(max_examples=25)
@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=7), seed=st.integers(0, 99))
def test_means_equal_a_loop(labels: list[int], seed: int) -> None:
    side = side_of(labels, seed)
    means = class_means(side.candidates, side.same_class)
    for i, label in enumerate(labels):
        mates = [j for j, other in enumerate(labels) if other == label]
        torch.testing.assert_close(means[i], side.candidates[mates].mean(dim=0))


def test_running_centroids_move_by_their_momentum() -> None:
    running = RunningCentroids(3, 2, momentum=0.5).double()
    x, y = torch.eye(2).double()
    labels = torch.tensor([1])
    torch.testing.assert_close(running(x[None], labels)[0], x)
    running.keep()
    moved = running(y[None], labels)[0]
    torch.testing.assert_close(moved, unit(x + y))
    # Not before the step is done.
    torch.testing.assert_close(running.centroids[1], x)
    running.keep()
    torch.testing.assert_close(running.centroids[1], unit(x + y))
    assert running.met.tolist() == [False, True, False]


def test_running_centroids_follow_the_batches_after_the_step() -> None:
    method = aecrd(pairs={"policy": "centroid"})
    labels = torch.arange(8) % 3
    value(method, labels, seed=0)
    state = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    assert not state["centroids.student_anchor.met"].any()
    method.after_step()
    assert method.state_dict()["centroids.student_anchor.met"].tolist() == [True] * 3 + [False]
    kept = method.state_dict()["centroids.student_anchor.centroids"][:3]
    torch.testing.assert_close(kept.norm(dim=1), torch.ones(3).double())
    before = kept.clone()
    value(method, labels, seed=1)
    method.after_step()
    assert not torch.equal(before, kept)
