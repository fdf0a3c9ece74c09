"""SSKD: the turned copies, the rows that it trusts, and its two stages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from feature_probes import (
    BATCH,
    context_of,
    draw_outputs,
    labelled,
    leaves,
    network,
    peak_megabytes,
    quick,
    reordered,
    safe_step,
    value_of,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distillery.methods.base import Pretraining
from distillery.methods.sskd import (
    SSKD,
    cosine_similarities,
    mean_of_kept,
    own_image,
    trusted,
    turned,
)
from distillery.models.base import ModelSpec, Outputs
from distillery.models.registry import build
from distillery.models.spec import describe

SMALL = network(((1, 1, 1),), embedding=6)


def sskd(student: ModelSpec = SMALL, teacher: ModelSpec = SMALL, **options: object) -> SSKD:
    torch.manual_seed(0)
    return SSKD(SSKD.Options(**options), context_of(student, teacher))


def copies_of(images: Tensor) -> Tensor:
    """Return the rows of the copies of some images."""
    return (4 * images[:, None] + torch.arange(4)).flatten()


def test_each_image_is_followed_by_its_three_turns() -> None:
    images = torch.randn(2, 3, 5, 5)
    copies = sskd().make_views(images, labelled(2))
    assert copies.shape == (8, 3, 5, 5)
    assert torch.equal(copies[::4], images)
    for quarters in range(4):
        assert torch.equal(copies[4 + quarters], images[1].rot90(quarters, (1, 2)))


def test_rows_keep_the_order_of_the_copies() -> None:
    rows = torch.arange(8.0)[:, None]
    assert turned(rows).flatten().tolist() == [1, 2, 3, 5, 6, 7]
    similarities = cosine_similarities(torch.randn(8, 5))
    assert similarities.shape == (6, 2)
    assert own_image(similarities).tolist() == [0, 0, 0, 1, 1, 1]


def test_similarities_are_the_cosines_to_the_upright_images() -> None:
    represented = torch.randn(12, 5, dtype=torch.float64)
    expected = torch.nn.functional.cosine_similarity(
        turned(represented)[:, None], represented[None, ::4], dim=2
    )
    assert torch.allclose(cosine_similarities(represented), expected)


@quick
@given(
    rows=st.integers(1, 40),
    classes=st.integers(2, 6),
    fraction=st.sampled_from([0.0, 0.25, 0.5, 0.7, 0.75, 1.0]),
    ties=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_trusts_the_right_rows_and_the_least_wrong(
    rows: int, classes: int, fraction: float, ties: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, classes, generator=generator)
    scores = scores.round() if ties else scores
    labels = torch.randint(classes, (rows,), generator=generator)
    ranks = [sum(x > row[y] for x in row) for row, y in zip(scores.tolist(), labels, strict=True)]
    wrong = sorted((rank, place) for place, rank in enumerate(ranks) if rank)
    kept = {place for _, place in wrong[: int(fraction * len(wrong))]}
    expected = [rank == 0 or place in kept for place, rank in enumerate(ranks)]
    assert trusted(scores, labels, fraction).tolist() == expected


def test_counts_kept_rows_as_python_does() -> None:
    scores, labels = torch.tensor([[1.0, 0.0]]).repeat(1000, 1), torch.ones(1000, dtype=torch.long)
    for count in range(1, 1000, 37):
        for fraction in (0.1, 0.3, 0.7, 0.29, 0.57):
            kept = trusted(scores[:count], labels[:count], fraction)
            assert int(kept.sum()) == int(fraction * count)


def test_a_batch_without_trusted_rows_gives_zero() -> None:
    assert mean_of_kept(torch.ones(3), torch.zeros(3, dtype=torch.bool)) == 0
    values = torch.tensor([1.0, torch.inf, 3.0])
    assert mean_of_kept(values, torch.tensor([True, False, True])) == 2


def test_is_zero_for_equal_networks_and_tells_them_apart() -> None:
    method = sskd()
    method.student_head.load_state_dict(method.teacher_head.state_dict())
    student, teacher = draw_outputs(SMALL, 16), draw_outputs(SMALL, 16, seed=1)
    equal = value_of(method, student, student, labelled(4))
    assert equal.item() == pytest.approx(0, abs=1e-6)
    one_way = value_of(method, student, teacher, labelled(4))
    other_way = value_of(method, teacher, student, labelled(4))
    assert one_way > 0.01
    assert one_way.item() != pytest.approx(other_way.item(), rel=1e-3)


@quick
@given(
    images=st.integers(1, 6),
    scale=st.sampled_from([0.0, 1.0, 1e4]),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]),
    seed=st.integers(0, 10**6),
)
def test_is_finite(images: int, scale: float, dtype: torch.dtype, seed: int) -> None:
    student = draw_outputs(SMALL, 4 * images, seed, scale, dtype)
    teacher = draw_outputs(SMALL, 4 * images, seed + 1, scale, dtype)
    safe_step(sskd(), student, teacher, labelled(images))


def test_does_not_depend_on_the_order_of_the_images() -> None:
    method = sskd(self_supervised_fraction=1.0)
    student, teacher = draw_outputs(SMALL, 20), draw_outputs(SMALL, 20, seed=1)
    batch, order = labelled(5), torch.randperm(5)
    shuffled = value_of(
        method,
        reordered(student, copies_of(order)),
        reordered(teacher, copies_of(order)),
        replace(batch, labels=batch.labels[order]),
    )
    expected = value_of(method, student, teacher, batch)
    assert shuffled.item() == pytest.approx(expected.item(), rel=1e-4)


def test_weights_multiply_the_terms() -> None:
    student, teacher = draw_outputs(SMALL, 16), draw_outputs(SMALL, 16, seed=1)
    plain = sskd(transformed_weight=1, self_supervised_weight=1)(student, teacher, labelled(4))
    weighted = sskd()(student, teacher, labelled(4))
    assert weighted["transformed"].item() == pytest.approx(2.7 * plain["transformed"].item())
    assert weighted["self_supervised"] == 10 * plain["self_supervised"]


def test_the_first_stage_trains_the_teachers_head_alone() -> None:
    method = sskd(head_epochs=7, head_lr=0.5, head_milestones=(2, 5))
    assert method.pretraining() == Pretraining(7, trains_student=False, lr=0.5, milestones=(2, 5))
    outputs = draw_outputs(SMALL, 16)
    method.pretrain(outputs, outputs, labelled(4))["recognition"].backward()
    assert all(tensor.grad is None for tensor in leaves(outputs))
    assert all(parameter.grad is not None for parameter in method.teacher_head.parameters())
    assert all(parameter.grad is None for parameter in method.student_head.parameters())


def test_the_second_stage_leaves_the_teachers_head_alone() -> None:
    method = sskd()
    method.finish_pretraining()
    assert not any(parameter.requires_grad for parameter in method.teacher_head.parameters())
    student, teacher = draw_outputs(SMALL, 16), draw_outputs(SMALL, 16, seed=1)
    safe_step(method, student, teacher, labelled(4))
    assert all(parameter.grad is None for parameter in method.teacher_head.parameters())
    assert all(parameter.grad is not None for parameter in method.student_head.parameters())


def test_the_head_learns_to_recognise_turned_copies() -> None:
    torch.manual_seed(0)
    teacher = build("resnet8", num_classes=4).eval()
    described = describe("resnet8", 4, 3, 8)
    method = sskd(described, described)
    with torch.no_grad():
        outputs = teacher(method.make_views(torch.rand(8, 3, 8, 8), labelled(8)))
    optimiser = torch.optim.Adam(method.teacher_head.parameters(), lr=0.01)
    values = []
    for _ in range(30):
        optimiser.zero_grad()
        value = method.pretrain(outputs, outputs, labelled(8))["recognition"]
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert values[-1] < values[0] - 0.3


def test_takes_the_memory_it_says() -> None:
    student, teacher = describe("MobileNetV2", 100, 3, 32), describe("ResNet50", 100, 3, 32)
    method = sskd(student, teacher)
    method.finish_pretraining()
    ours, theirs = outputs_of(student), outputs_of(teacher)
    measured = peak_megabytes(lambda: value_of(method, ours, theirs, labelled(BATCH)))
    assert measured == pytest.approx(16, rel=0.05)  # as its docstring says


def outputs_of(described: ModelSpec) -> Outputs:
    """Draw logits and embeddings of a described network for four copies of a batch."""
    small = network(((1, 1, 1),), described.embedding_dim, described.num_classes)
    return draw_outputs(small, 4 * BATCH)
