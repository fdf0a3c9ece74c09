"""The blocked NCE beside its definition."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from distillery.methods.parts.nce import Block, mean_exponential, nce_loss, scores_of

ANCHORS, ROWS, NEGATIVES, TEMPERATURE = 3, 10, 4, 0.5


def points(count: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, 6, dtype=torch.float64), dim=1)


NORMALISER = torch.tensor(7.0, dtype=torch.float64)


def test_the_loss_and_its_gradient_are_those_of_the_definition() -> None:
    torch.manual_seed(0)
    anchors, bank = points(ANCHORS).requires_grad_(), points(ROWS)
    positives = torch.tensor([9, 0, 4])
    keep = torch.zeros(ANCHORS, ROWS, dtype=torch.bool)
    for row in keep:
        row[torch.randperm(ROWS)[:NEGATIVES]] = True
    blocks = [
        Block(rows, torch.arange(ANCHORS), keep[:, rows].double())
        for rows in torch.arange(ROWS).split(4)
    ]
    scores = scores_of(anchors, bank, positives, TEMPERATURE)
    loss = nce_loss(scores, blocks, NEGATIVES, NORMALISER)
    (gradient,) = torch.autograd.grad(3 * loss, anchors)

    exponentials = (anchors @ bank.T / TEMPERATURE).exp()
    chances, noise = exponentials / NORMALISER, NEGATIVES / ROWS
    own = chances[range(ANCHORS), positives]
    ours = (own / (own + noise + 1e-7)).log()
    others = torch.where(keep, (noise / (chances + noise + 1e-7)).log(), 0.0).sum(dim=1)
    expected = -(ours + others).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    (slope,) = torch.autograd.grad(3 * expected, anchors)
    torch.testing.assert_close(gradient, slope, rtol=1e-10, atol=1e-12)

    counted = exponentials[keep].sum() + exponentials[range(ANCHORS), positives].sum()
    mean = mean_exponential(scores, blocks, NEGATIVES)
    torch.testing.assert_close(mean, counted.detach() / (ANCHORS * (1 + NEGATIVES)))


def test_blocks_may_hold_some_anchors_only_and_no_negative_at_all() -> None:
    torch.manual_seed(0)
    anchors, bank, positives = points(ANCHORS), points(ROWS), torch.tensor([9, 0, 4])
    whole = Block(torch.arange(4), torch.arange(ANCHORS), torch.ones(ANCHORS, 4))
    parts = [
        Block(torch.arange(4), torch.tensor(chosen), torch.ones(len(chosen), 4))
        for chosen in ([2], [0, 1])
    ]
    empty = Block(torch.arange(5, 9), torch.tensor([1]), torch.zeros(1, 4))
    scores = scores_of(anchors, bank, positives, TEMPERATURE)
    one, other = (
        nce_loss(scores, blocks, NEGATIVES, NORMALISER) for blocks in ([whole], [*parts, empty])
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
