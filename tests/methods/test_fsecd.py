"""FSECD against a plain loop over pairs, for every combination of its options."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from feature_probes import peak_megabytes
from helpers import batch_of, context, outputs, spec
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distillery.core.errors import UserError
from distillery.methods.fsecd import FSECD
from distillery.methods.parts.contrast import info_nce
from distillery.models.base import Outputs

COMBINATIONS = [
    dict(
        zip(("level", "space", "similarity", "normalise", "exclude_same_class"), each, strict=True)
    )
    for each in itertools.product(
        ("instance", "class"),
        ("logits", "penultimate", "linear"),
        ("product", "distance"),
        (True, False),
        (True, False),
    )
]


def fsecd(student_dim: int = 4, teacher_dim: int = 4, **options: Any) -> FSECD:
    options = {"space": "logits", **options}
    return FSECD(FSECD.Options(**options), context(student_dim, teacher_dim))


def draw(rows: int, dim: int, seed: int, classes: int = 5, scale: float = 1.0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    drawn = [
        torch.randn(rows, size, generator=generator).double() * scale for size in (classes, dim)
    ]
    return outputs(logits=drawn[0].requires_grad_(), embedding=drawn[1].requires_grad_())


def value(method: FSECD, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
    terms = method(student, teacher, batch_of(len(labels), labels))
    assert list(terms) == ["contrast"]
    return terms["contrast"]


def by_loop(
    anchors: list[list[float]], candidates: list[list[float]], labels: list[int], options: Any
) -> float:
    """The definition, pair by pair, in double precision."""

    def unit(row: list[float]) -> list[float]:
        length = math.sqrt(sum(x * x for x in row)) if options["normalise"] else 1.0
        return [x / length for x in row]

    def score(i: int, j: int) -> float:
        anchor, candidate = unit(anchors[i]), unit(candidates[j])
        if options["similarity"] == "distance":
            similarity = -sum((a - b) ** 2 for a, b in zip(anchor, candidate, strict=True))
        else:
            similarity = sum(a * b for a, b in zip(anchor, candidate, strict=True))
        return similarity / options["temperature"]

    total, count = 0.0, len(labels)
    for i in range(count):
        mine = [j for j in range(count) if labels[j] == labels[i]]
        positives = mine if options["level"] == "class" else [i]
        for p in positives:
            rivals = [
                j
                for j in range(count)
                if not options["exclude_same_class"] or j == p or labels[j] != labels[i]
            ]
            parts = math.fsum(math.exp(score(i, j) - score(i, p)) for j in rivals)
            total += math.log(parts) / len(positives) / count
    return total


@pytest.mark.parametrize(
    "options", COMBINATIONS, ids=lambda each: "-".join(map(str, each.values()))
)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    temperature=st.sampled_from([0.07, 0.5, 2.0]),
    seed=st.integers(0, 1000),
)
def test_equals_a_loop(
    options: dict[str, Any], labels: list[int], temperature: float, seed: int
) -> None:
    method = fsecd(temperature=temperature, **options).double()
    student, teacher = (draw(len(labels), 4, seed + part) for part in range(2))
    found = value(method, student, teacher, torch.tensor(labels))
    if options["space"] == "logits":
        anchors, candidates = student.logits, teacher.logits
    else:
        anchors, candidates = method.map(student.embedding), teacher.embedding
    expected = by_loop(
        anchors.tolist(), candidates.tolist(), labels, {**options, "temperature": temperature}
    )
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_instances_are_infonce() -> None:
    student, teacher = draw(9, 4, 0), draw(9, 4, 1)
    labels = torch.arange(9) % 3
    scores = F.normalize(student.logits, dim=1) @ F.normalize(teacher.logits, dim=1).T / 0.07
    own, same_class = torch.eye(9, dtype=torch.bool), labels[:, None] == labels
    for excluded in (False, True):
        left_out = same_class & ~own if excluded else torch.zeros_like(own)
        expected = info_nce(scores.masked_fill(left_out, -torch.inf))
        method = fsecd(temperature=0.07, exclude_same_class=excluded)
        found = value(method, student, teacher, labels)
        assert found.item() == pytest.approx(expected.item())


def test_classes_are_the_outer_sum_of_supcon() -> None:
    """Instances and classes agree where no class occurs twice, and differ where one does."""
    student, teacher = draw(6, 4, 0), draw(6, 4, 1)
    options = {"temperature": 0.07, "exclude_same_class": False}
    by_instance, by_class = fsecd(**options), fsecd(level="class", **options)
    distinct, shared = torch.arange(6), torch.arange(6) % 2
    alone = [value(method, student, teacher, distinct).item() for method in (by_instance, by_class)]
    assert alone[0] == pytest.approx(alone[1])
    scores = F.normalize(student.logits, dim=1) @ F.normalize(teacher.logits, dim=1).T / 0.07
    log_shares = scores.log_softmax(dim=1)
    expected = -torch.stack([log_shares[i, shared == shared[i]].mean() for i in range(6)]).mean()
    found = value(by_class, student, teacher, shared)
    assert found.item() == pytest.approx(expected.item())
    assert found.item() != pytest.approx(value(by_instance, student, teacher, shared).item())


@pytest.mark.parametrize(
    "options", COMBINATIONS, ids=lambda each: "-".join(map(str, each.values()))
)
def test_one_image_has_no_loss_and_the_teacher_no_gradient(options: dict[str, Any]) -> None:
    method = fsecd(**options).double()
    alone = value(method, draw(1, 4, 0), draw(1, 4, 1), torch.tensor([2]))
    assert alone.item() == 0
    student, teacher = draw(6, 4, 0), draw(6, 4, 1)
    value(method, student, teacher, torch.arange(6) % 3).backward()
    assert teacher.logits.grad is None
    assert teacher.embedding.grad is None
    inputs = student.logits if options["space"] == "logits" else student.embedding
    assert inputs.grad is not None
    assert inputs.grad.abs().sum() > 0


@pytest.mark.parametrize("level", ["instance", "class"])
def test_gradients_vanish_with_the_temperature(level: str) -> None:
    sizes = []
    for temperature in (1.0, 1e3, 1e6):
        student = draw(8, 4, 0)
        method = fsecd(level=level, temperature=temperature)
        value(method, student, draw(8, 4, 1), torch.arange(8) % 3).backward()
        assert student.logits.grad is not None
        sizes.append(student.logits.grad.abs().max().item())
    assert sizes[1] < 2e-3 * sizes[0]
    assert sizes[2] < 2e-6 * sizes[0]


@pytest.mark.parametrize(
    "options", COMBINATIONS, ids=lambda each: "-".join(map(str, each.values()))
)
def test_gradcheck(options: dict[str, Any]) -> None:
    method = fsecd(temperature=0.7, **options).double()
    teacher, labels = draw(5, 4, 1), torch.tensor([0, 1, 0, 2, 1])

    def loss(logits: Tensor, embedding: Tensor) -> Tensor:
        return value(method, outputs(logits=logits, embedding=embedding), teacher, labels)

    student = draw(5, 4, 0)
    assert torch.autograd.gradcheck(loss, (student.logits, student.embedding))


@given(
    options=st.sampled_from(COMBINATIONS),
    scale=st.sampled_from([0.0, 1.0, 30.0]),
    temperature=st.sampled_from([0.01, 0.07, 5.0]),
    one_class=st.booleans(),
)
def test_is_finite(
    options: dict[str, Any], scale: float, temperature: float, one_class: bool
) -> None:
    """Also in single precision, without a negative, and with features that are all zero."""
    method = fsecd(temperature=temperature, **options)
    student, teacher = (
        Outputs(
            *(part.detach().float().requires_grad_() for part in draw(6, 4, seed, scale=scale)[:2])
        )
        for seed in range(2)
    )
    labels = torch.zeros(6, dtype=torch.long) if one_class else torch.arange(6) % 3
    found = value(method, student, teacher, labels)
    found.backward()
    assert found.isfinite()
    assert found >= -1e-3
    inputs = student.logits if options["space"] == "logits" else student.embedding
    assert inputs.grad is not None
    assert inputs.grad.isfinite().all()


def test_the_order_of_the_batch_does_not_matter() -> None:
    student, teacher, labels = draw(10, 4, 0), draw(10, 4, 1), torch.arange(10) % 3
    order = torch.randperm(10)
    for level in ("instance", "class"):
        plain = value(fsecd(level=level), student, teacher, labels)
        mixed = [Outputs(each.logits[order], each.embedding[order]) for each in (student, teacher)]
        assert value(fsecd(level=level), *mixed, labels[order]).item() == pytest.approx(
            plain.item()
        )


def test_trains_from_the_cache_and_has_parameters_only_where_it_maps() -> None:
    assert FSECD.trains_from_cache()
    assert FSECD.couples_batch
    assert not list(fsecd().parameters())
    assert [tuple(p.shape) for p in fsecd(3, 5, space="linear").parameters()] == [(5, 3), (5,)]


def test_embeddings_of_different_lengths_are_refused_in_one_line() -> None:
    for space in ("logits", "linear"):
        FSECD.check(FSECD.Options(space=space), spec(64), spec(128))
    FSECD.check(FSECD.Options(space="penultimate"), spec(64), spec(64))
    with pytest.raises(UserError) as error:
        FSECD.check(FSECD.Options(space="penultimate"), spec(64), spec(128))
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in ["fsecd", "options.space", "64", "128", "linear"])


@pytest.mark.parametrize(("excludes", "megabytes"), [(False, 22), (True, 40)])
def test_takes_the_memory_it_says(excludes: bool, megabytes: float) -> None:
    method, rows = fsecd(level="class", exclude_same_class=excludes), 1024
    student, teacher = (outputs(logits=torch.randn(rows, 100)) for _ in range(2))
    student.logits.requires_grad_()
    labels = torch.arange(rows) % 100
    measured = peak_megabytes(lambda: value(method, student, teacher, labels))
    assert measured == pytest.approx(megabytes, rel=0.05)  # as its docstring says
