"""The teacher's classifier that AECRD recovers, and the filter that uses it."""

from __future__ import annotations

import torch
from aecrd_probes import aecrd, batch, draw, generator

from distillery.methods.aecrd.readout import LinearReadout


def test_the_readout_is_the_linear_map_also_with_dead_units() -> None:
    weights, offset = torch.randn(4, 6).double(), torch.randn(4).double()
    readout = LinearReadout(6, 4).double()
    for seed in range(4):
        embedding = torch.randn(10, 6, generator=generator(seed)).double().relu()
        embedding[:, 2] = 0
        assert readout.is_known is (seed >= 3)
        readout.observe(embedding, embedding @ weights.T + offset)
    torch.testing.assert_close(readout(embedding), embedding @ weights.T + offset)
    settled = readout.solution.clone()
    readout.observe(embedding, 0 * embedding[:, :4])
    assert torch.equal(readout.solution, settled)


def test_the_classifier_is_recovered_and_filters() -> None:
    labels, weights = torch.arange(24) % 4, torch.randn(10, 5).double()
    losses = {}
    for kind in ("none", "drop", "soft"):
        options = {"filters": {"classifier": kind}, "pairs": {"policy": "random"}}
        method = aecrd(5, 5, head="teacher-space", **options)
        for step in range(2):
            student, teacher = draw(24, 5, 0), draw(24, 5, 1)
            teacher = teacher._replace(logits=(teacher.embedding @ weights.T + 0.5).detach())
            terms = method(student, teacher, batch(labels, step=step))
        losses[kind] = torch.stack(list(terms.values())).sum().item()
        if method.readout is not None:
            assert method.readout.is_known
            found = method.readout(teacher.embedding)
            torch.testing.assert_close(found, teacher.logits, atol=1e-5, rtol=1e-5)
    assert losses["drop"] < losses["none"]
    assert losses["soft"] < losses["none"]


def test_no_point_is_a_negative_before_the_classifier_is_known() -> None:
    filters = {"classifier": "drop"}
    method = aecrd(5, 5, head="teacher-space", filters=filters)
    plain = aecrd(5, 5, head="teacher-space", synthetic={"n": 0})
    labels = torch.arange(8) % 3
    student, teacher = draw(8, 5, 0), draw(8, 5, 1)
    first, base = (m(student, teacher, batch(labels)) for m in (method, plain))
    assert all(first[name].item() == base[name].item() for name in base)
