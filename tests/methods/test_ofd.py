"""OFD: its margins, its partial distance, and the pairs that it can match."""

from __future__ import annotations

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
from scipy.stats import truncnorm
from torch import nn

from distillery.core.errors import UserError
from distillery.methods.ofd import OFD, channel_margins, partial_l2
from distillery.models.base import ModelSpec
from distillery.models.spec import describe


class Norms(nn.Module):
    """A teacher of which only the BatchNorms are asked for."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.norms = [nn.BatchNorm2d(shape[0]) for shape in spec.feature_shapes[1:]]

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        return self.norms


def ofd(student: ModelSpec, teacher: ModelSpec) -> OFD:
    return OFD(OFD.Options(), context_of(student, teacher, teacher_network=Norms(teacher)))


def spec(arch: str) -> ModelSpec:
    return describe(arch, 100, 3, 32)


def test_margins_are_means_of_truncated_normals() -> None:
    weight, bias = torch.tensor([1.0, -0.5, 2.0, 0.3]), torch.tensor([0.2, -1.0, 0.0, -3.0])
    deviation = weight.abs().numpy()
    expected = truncnorm.mean(-np.inf, -bias.numpy() / deviation, loc=bias, scale=deviation)
    assert np.allclose(channel_margins(weight, bias), expected, rtol=1e-6)


def test_margins_of_rarely_negative_and_of_dead_channels() -> None:
    weight = torch.tensor([1.0, -0.1, 0.0, 0.0, 0.0, 1e-20])
    bias = torch.tensor([5.0, 10.0, 1.0, 0.0, -2.0, -1e20])
    margins = channel_margins(weight, bias)
    assert torch.allclose(margins, torch.tensor([-3.0, -0.3, 0.0, 0.0, -2.0, -1e20]))
    assert (margins <= 0).all()


@quick
@given(seed=st.integers(0, 10**6))
def test_partial_distance_equals_its_three_cases(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, 3, 4, 2, 2, generator=generator, dtype=torch.float64)
    margin = -torch.rand(4, 1, 1, generator=generator, dtype=torch.float64)
    total = 0.0
    for place in np.ndindex(3, 4, 2, 2):
        s, t, m = student[place].item(), teacher[place].item(), margin[place[1]].item()
        if t > 0:
            total += (s - t) ** 2
        elif t > m:
            total += (s - t) ** 2 if s > t else 0
        else:
            total += (s - m) ** 2 if s > m else 0
    assert partial_l2(student, teacher, margin).item() == pytest.approx(total / 3)


def test_partial_distance_is_zero_for_equal_maps_and_not_symmetric() -> None:
    student, teacher = torch.randn(2, 3, 4, 2, 2)
    margin = torch.full((4, 1, 1), -0.5)
    assert partial_l2(teacher, teacher, margin) == 0
    assert partial_l2(student, teacher, margin) != partial_l2(teacher, student, margin)


@quick
@given(st.data(), st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
def test_is_finite_and_does_not_depend_on_the_order(
    data: st.DataObject, dtype: torch.dtype
) -> None:
    student_spec = data.draw(networks())
    teacher_spec = data.draw(networks(len(student_spec.feature_shapes) - 1))
    method = ofd(student_spec, teacher_spec)
    seed, scale = data.draw(st.integers(0, 10**6)), data.draw(st.sampled_from([0.0, 1.0, 1e3]))
    student = draw_outputs(student_spec, seed=seed, scale=scale, dtype=dtype)
    teacher = draw_outputs(teacher_spec, seed=seed + 1, scale=scale, dtype=dtype)
    value = safe_step(method, student, teacher, labelled(4))
    order = torch.randperm(4)
    shuffled = value_of(method, reordered(student, order), reordered(teacher, order), labelled(4))
    assert shuffled.item() == pytest.approx(value, rel=1e-4)


def test_swapped_networks_do_not_pass() -> None:
    student, teacher = network(((3, 4, 4),)), network(((5, 4, 4),))
    method = ofd(student, teacher)
    with pytest.raises(RuntimeError):
        method(draw_outputs(teacher), draw_outputs(student), labelled(4))


def test_no_stage_is_dropped_silently() -> None:
    one, two = network(((3, 4, 4),)), network(((3, 4, 4), (4, 2, 2)))
    with pytest.raises(ValueError, match="zip"):
        ofd(one, two)
    with pytest.raises(ValueError, match="zip"):
        ofd(one, one)(draw_outputs(two), draw_outputs(two), labelled(4))


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ("wrn_40_1", "wrn_40_2"),
        ("resnet8x4", "resnet32x4"),
        ("MobileNetV2", "vgg13"),
        ("vgg8", "ResNet50"),
        ("ShuffleV1", "resnet32x4"),
        ("ShuffleV2", "wrn_40_2"),
    ],
)
def test_published_pairs_are_accepted(student: str, teacher: str) -> None:
    OFD.check(OFD.Options(), spec(student), spec(teacher))


@pytest.mark.parametrize(
    ("student", "teacher", "told"),
    [
        ("resnet20", "vgg13", ["3", "4", "16x32x32", "512x4x4"]),
        ("resnet20", "ShuffleV1", ["BatchNorm", "960x4x4", "64x8x8"]),
        ("resnet20", "ShuffleV2", ["BatchNorm", "464x4x4", "64x8x8"]),
    ],
)
def test_refuses_pairs_in_one_line(student: str, teacher: str, told: list[str]) -> None:
    with pytest.raises(UserError) as error:
        OFD.check(OFD.Options(), spec(student), spec(teacher))
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in ["ofd", student, teacher, *told])


def test_takes_the_memory_it_says() -> None:
    student, teacher = spec("resnet8x4"), spec("resnet32x4")
    method = ofd(student, teacher)
    ours, theirs = draw_outputs(student, BATCH), draw_outputs(teacher, BATCH)
    measured = peak_megabytes(lambda: value_of(method, ours, theirs, labelled(BATCH)))
    assert measured == pytest.approx(105, rel=0.05)  # as its docstring says
