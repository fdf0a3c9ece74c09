"""ReviewKD: its distance at several resolutions, its warm-up, and the pairs that it can match."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from feature_probes import (
    BATCH,
    context_of,
    draw_outputs,
    labelled,
    network,
    networks,
    peak_megabytes,
    quick,
    reordered,
    safe_step,
    value_of,
)
from hypothesis import given
from hypothesis import strategies as st

from distillery.core.errors import UserError
from distillery.methods.reviewkd import ReviewKD, hierarchical_context
from distillery.models.base import ModelSpec
from distillery.models.spec import describe


def reviewkd(student: ModelSpec, teacher: ModelSpec, **options: object) -> ReviewKD:
    return ReviewKD(ReviewKD.Options(**options), context_of(student, teacher))


def spec(arch: str) -> ModelSpec:
    return describe(arch, 100, 3, 32)


@pytest.mark.parametrize("height", [1, 2, 3, 4, 8])
def test_context_weighs_only_the_levels_below_the_height(height: int) -> None:
    student, teacher = torch.randn(2, 2, 3, height, height, dtype=torch.float64)
    weights, errors = [1.0], [float((student - teacher).square().mean())]
    for level in (4, 2, 1):
        if level < height:
            edges = [(i * height // level, -(-(i + 1) * height // level)) for i in range(level)]
            difference = (student - teacher).numpy()
            cells = [
                difference[:, :, top:bottom, left:right].mean((2, 3))
                for top, bottom in edges
                for left, right in edges
            ]
            weights.append(weights[-1] / 2)
            errors.append(float(np.square(cells).mean()))
    expected = np.average(errors, weights=weights)
    assert hierarchical_context(student, teacher, (4, 2, 1)).item() == pytest.approx(expected)
    assert hierarchical_context(teacher, teacher, (4, 2, 1)) == 0


@quick
@given(st.data(), st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
def test_is_finite_and_does_not_depend_on_the_order(
    data: st.DataObject, dtype: torch.dtype
) -> None:
    student_spec = data.draw(networks())
    teacher_spec = data.draw(networks(len(student_spec.feature_shapes) - 1))
    method = reviewkd(student_spec, teacher_spec)
    seed, scale = data.draw(st.integers(0, 10**6)), data.draw(st.sampled_from([0.0, 1.0, 1e3]))
    student = draw_outputs(student_spec, seed=seed, scale=scale, dtype=dtype)
    teacher = draw_outputs(teacher_spec, seed=seed + 1, scale=scale, dtype=dtype)
    value = safe_step(method, student, teacher, labelled(4))
    order = torch.randperm(4)
    shuffled = value_of(method, reordered(student, order), reordered(teacher, order), labelled(4))
    assert shuffled.item() == pytest.approx(value, rel=1e-3)


def test_grows_over_the_first_epochs() -> None:
    shapes = network(((3, 4, 4),))
    student, teacher = draw_outputs(shapes), draw_outputs(shapes, seed=1)
    method = reviewkd(shapes, shapes).eval()
    full = value_of(method, student, teacher, replace(labelled(4), epoch=19))
    for epoch, share in ((0, 0.05), (9, 0.5), (18, 0.95), (200, 1.0)):
        value = value_of(method, student, teacher, replace(labelled(4), epoch=epoch))
        assert value.item() == pytest.approx(share * full.item())
    method = reviewkd(shapes, shapes, warmup_epochs=0).eval()
    first, later = (
        value_of(method, student, teacher, replace(labelled(4), epoch=epoch)) for epoch in (0, 50)
    )
    assert first == later


def test_reads_the_students_features_unless_told_otherwise() -> None:
    shapes = network(((3, 4, 4),))
    student, teacher = draw_outputs(shapes), draw_outputs(shapes, seed=1)
    for read, other, told in (
        ("features", "preactivations", False),
        ("preactivations", "features", True),
    ):
        method = reviewkd(shapes, shapes, student_preactivations=told).eval()
        without = value_of(method, student._replace(**{other: ()}), teacher, labelled(4))
        assert without == value_of(method, student, teacher, labelled(4))
        with pytest.raises(ValueError, match="zip"):
            method(student._replace(**{read: ()}), teacher, labelled(4))


def test_swapped_networks_do_not_pass() -> None:
    student, teacher = network(((3, 4, 4),)), network(((5, 4, 4),))
    with pytest.raises(RuntimeError):
        reviewkd(student, teacher)(draw_outputs(teacher), draw_outputs(student), labelled(4))


def test_no_stage_is_dropped_silently() -> None:
    one, two = network(((3, 4, 4),)), network(((3, 4, 4), (4, 2, 2)))
    with pytest.raises(ValueError, match="zip"):
        reviewkd(one, two)
    with pytest.raises((ValueError, RuntimeError)):
        reviewkd(one, one)(draw_outputs(two), draw_outputs(two), labelled(4))


@pytest.mark.parametrize(
    ("student", "teacher"),
    [("wrn_40_1", "wrn_40_2"), ("MobileNetV2", "vgg13"), ("ShuffleV2", "resnet32x4")],
)
def test_published_pairs_are_accepted(student: str, teacher: str) -> None:
    ReviewKD.check(ReviewKD.Options(), spec(student), spec(teacher))


def test_refuses_unequal_stages_in_one_line() -> None:
    with pytest.raises(UserError) as error:
        ReviewKD.check(ReviewKD.Options(), spec("ShuffleV1"), spec("vgg13"))
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in ["reviewkd", "ShuffleV1", "vgg13", "960x4x4", "3 and 4"])


def test_takes_the_memory_it_says() -> None:
    student, teacher = spec("resnet8x4"), spec("resnet32x4")
    method = reviewkd(student, teacher)
    ours, theirs = draw_outputs(student, BATCH), draw_outputs(teacher, BATCH)
    measured = peak_megabytes(lambda: value_of(method, ours, theirs, labelled(BATCH)))
    assert measured == pytest.approx(585, rel=0.05)  # as its docstring says
