from __future__ import annotations

import pytest
import torch
from helpers import context, outputs

from distillery.core.errors import UserError
from distillery.methods import crd
from distillery.methods.base import Batch
from distillery.methods.crd import CRD, NegativeSampler


def batch_for(labels: torch.Tensor, rows: torch.Tensor, step: int = 0) -> Batch:
    return Batch(position=rows, labels=labels[rows], epoch=0, step=step)


def drawn(sampler: NegativeSampler, batch: Batch) -> list[list[int]]:
    """Return the negatives of each image of a batch."""
    found: list[list[int]] = [[] for _ in batch.position]
    for rows, anchors, counts in sampler.draw(batch):
        for anchor, kept in zip(anchors.tolist(), counts.bool(), strict=True):
            found[anchor] += rows[kept].tolist()
    return found


@pytest.fixture(params=[7, 4096], ids=["many blocks", "one block"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crd, "_BLOCK", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("step", range(20))
def test_negatives_are_distinct_of_other_classes_and_exactly_k(step: int) -> None:
    labels = torch.arange(100) % 7
    sampler = NegativeSampler(labels, negatives=60, seed=3)
    batch = batch_for(labels, torch.randperm(100)[:16], step)
    for label, chosen in zip(batch.labels, drawn(sampler, batch), strict=True):
        assert len(chosen) == len(set(chosen)) == 60
        assert (labels[chosen] != label).all()


def test_negatives_are_uniform_over_the_other_classes() -> None:
    labels = torch.tensor([0] * 10 + [1] * 20 + [2] * 10)
    sampler = NegativeSampler(labels, negatives=5, seed=0)
    counts = torch.zeros(40)
    for step in range(4000):
        (chosen,) = drawn(sampler, batch_for(labels, torch.tensor([0]), step))
        counts[chosen] += 1
    assert counts[:10].sum() == 0
    expected = 4000 * 5 / 30
    assert (counts[10:] - expected).abs().max() < 5 * expected**0.5


def test_the_draw_depends_on_the_step_alone() -> None:
    labels = torch.arange(50) % 5
    sampler = NegativeSampler(labels, negatives=20, seed=1)
    batch = batch_for(labels, torch.arange(8), step=4)
    first = drawn(sampler, batch)
    assert first != drawn(sampler, batch_for(labels, torch.arange(8), step=5))
    assert first == drawn(sampler, batch)


def test_same_class_positives() -> None:
    labels = torch.arange(60) % 6
    sampler = NegativeSampler(labels, negatives=10, seed=1)
    seen = set()
    for step in range(200):
        rows = sampler.draw_same_class(batch_for(labels, torch.tensor([4, 9]), step))
        assert torch.equal(labels[rows], labels[torch.tensor([4, 9])])
        seen.update(rows.tolist())
    assert len(seen) == 20


def test_without_labels_negatives_are_all_other_images() -> None:
    labels = torch.zeros(21, dtype=torch.long)
    method = make(labels, negatives_from="all")
    batch = batch_for(labels, torch.tensor([3, 8]))
    for place, chosen in zip((3, 8), drawn(method.negatives, batch), strict=True):
        assert sorted(chosen) == [image for image in range(21) if image != place]
    with pytest.raises(UserError, match="only 0 training images are of other classes"):
        make(labels)


def test_too_many_negatives_are_refused() -> None:
    with pytest.raises(UserError, match=r"only 80 training images.*allowed: 1 to 80"):
        NegativeSampler(torch.arange(100) % 5, negatives=81, seed=0)


def make(labels: torch.Tensor, **options: object) -> CRD:
    return CRD(CRD.Options(dim=8, negatives=20, **options), context(6, 4, labels=labels))  # type: ignore[arg-type]


def test_banks_move_after_the_step_only_and_stay_on_the_sphere() -> None:
    labels = torch.arange(40) % 4
    method = make(labels)
    rows = torch.tensor([3, 7, 11])
    before = method.student_bank.clone()
    student = outputs(embedding=torch.randn(3, 6, requires_grad=True))
    terms = method(student, outputs(embedding=torch.randn(3, 4)), batch_for(labels, rows))
    assert torch.equal(before, method.student_bank)
    sum(terms.values()).backward()
    method.after_step()
    changed = (before != method.student_bank).any(dim=1)
    assert changed.nonzero().flatten().tolist() == rows.tolist()
    torch.testing.assert_close(method.student_bank[rows].norm(dim=1), torch.ones(3))


def test_both_heads_are_trained_and_the_constants_are_set_once() -> None:
    labels = torch.arange(40) % 4
    method = make(labels)
    rows = torch.arange(8)
    student = outputs(embedding=torch.randn(8, 6))
    terms = method(student, outputs(embedding=torch.randn(8, 4)), batch_for(labels, rows))
    sum(terms.values()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters())
    constants = method.normaliser.clone()
    assert (constants > 0).all()
    method(student, outputs(embedding=torch.randn(8, 4)), batch_for(labels, rows, step=1))
    assert torch.equal(constants, method.normaliser)


def test_relaxed_positives_train() -> None:
    labels = torch.arange(40) % 4
    method = make(labels, positives="relax")
    terms = method(
        outputs(embedding=torch.randn(8, 6)),
        outputs(embedding=torch.randn(8, 4)),
        batch_for(labels, torch.arange(8)),
    )
    assert all(term.isfinite() for term in terms.values())
