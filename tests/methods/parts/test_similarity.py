"""Distances and divergences equal their definitions."""

from __future__ import annotations

import pytest
import torch

from distillery.methods.parts.similarity import row_divergence, squared_distances


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_squared_distances_keep_small_ones(offset: float) -> None:
    # Two groups a thousand times further from each other than their members.
    points = torch.randn(6, 8, dtype=torch.float64) + offset
    points[3:] += 1000
    exact = (points[:, None] - points[None, :]).square().sum(dim=2)
    torch.testing.assert_close(squared_distances(points), exact, rtol=1e-7, atol=0)
    if not offset:
        single = points.float()
        exact = (single.double()[:, None] - single.double()[None, :]).square().sum(dim=2)
        close = squared_distances(single).double()
        torch.testing.assert_close(close, exact, rtol=1e-4, atol=0)


def test_divergence_of_rows_equals_its_definition() -> None:
    student, teacher = torch.randn(2, 3, 4, dtype=torch.float64)
    p, q = (teacher / 2).softmax(1), (student / 2).softmax(1)
    expected = 4 * (p * (p / q).log()).sum(1)
    assert torch.allclose(row_divergence(student, teacher, 2.0), expected)
