"""Pairs of stage maps: which are joined, and what a user reads when they cannot be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from feature_probes import network, networks
from hypothesis import given
from hypothesis import strategies as st

from distillery.core.errors import UserError
from distillery.methods import registry
from distillery.methods.parts.heads import Regressor, regressible
from distillery.methods.parts.matching import pair_stages
from distillery.models.base import ModelSpec
from distillery.models.spec import describe

# The pairs of the CRD tables, teacher first.
BENCHMARK = [
    ("wrn_40_2", "wrn_16_2"),
    ("wrn_40_2", "wrn_40_1"),
    ("resnet56", "resnet20"),
    ("resnet110", "resnet32"),
    ("resnet32x4", "resnet8x4"),
    ("vgg13", "vgg8"),
    ("vgg13", "MobileNetV2"),
    ("ResNet50", "MobileNetV2"),
    ("ResNet50", "vgg8"),
    ("resnet32x4", "ShuffleV1"),
    ("resnet32x4", "ShuffleV2"),
    ("wrn_40_2", "ShuffleV1"),
]
MAPS = ["fitnet", "at", "sp", "vid", "nst", "ab", "ft"]


def described(arch: str) -> ModelSpec:
    return describe(arch, 10, 3, 32)


@pytest.mark.parametrize(("teacher", "student"), BENCHMARK)
def test_benchmark_pairs_are_joined_map_by_map(teacher: str, student: str) -> None:
    ours, theirs = described(student), described(teacher)
    stages = range(1, len(ours.feature_shapes))
    assert pair_stages("at", ours, theirs) == tuple((stage, stage) for stage in stages)
    for name in MAPS:
        method = registry.load(name)
        method.check(method.Options(), ours, theirs)


def test_unequal_numbers_are_joined_by_resolution() -> None:
    # resnet: 32, 32, 16, 8; vgg: 32, 16, 8, 4, 4.
    resnet, vgg = described("resnet20"), described("vgg8")
    assert pair_stages("at", resnet, vgg) == ((2, 1), (3, 2))
    assert pair_stages("at", vgg, resnet) == ((1, 2), (2, 3))
    # The deepest map at 32 x 32 is stage 1 of the one and the stem of the other.
    assert pair_stages("at", resnet, vgg, first=0) == ((1, 0), (2, 1), (3, 2))


@given(networks(), networks(), st.integers(0, 1))
def test_pairs_are_deepest_of_their_resolution(
    student: ModelSpec, teacher: ModelSpec, first: int
) -> None:
    ours, theirs = student.feature_shapes, teacher.feature_shapes
    try:
        pairs = pair_stages("at", student, teacher, first=first)
    except UserError:
        assert not {s[1:] for s in ours[first:]} & {s[1:] for s in theirs[first:]}
        return
    assert list(pairs) == sorted(set(pairs))
    assert all(one >= first and other >= first for one, other in pairs)
    if len(ours) == len(theirs):
        assert all(one == other for one, other in pairs)
        return
    for one, other in pairs:
        assert ours[one][1:] == theirs[other][1:]
        assert ours[one][1:] not in [shape[1:] for shape in ours[one + 1 :]]
        assert theirs[other][1:] not in [shape[1:] for shape in theirs[other + 1 :]]


REFUSED: list[tuple[str, dict[str, Any], ModelSpec, ModelSpec, str]] = [
    ("at", {}, network(((4, 8, 8),)), network(((4, 4, 4), (4, 2, 2))), "no two stage maps"),
    ("fsp", {}, described("wrn_40_1"), described("wrn_40_2"), "equally many channels"),
    ("kdsvd", {}, described("wrn_40_1"), described("wrn_40_2"), "equally many channels"),
    ("kdsvd", {}, network(((4, 8, 8),)), network(((4, 8, 8),)), "two pairs of stages"),
    ("kdsvd", {"vectors": 17}, described("wrn_16_1"), described("wrn_40_1"), "allowed: 1 to 16"),
    ("fitnet", {"hint_layer": 4}, described("wrn_16_1"), described("wrn_40_1"), "0, 1, 2, 3"),
    ("fitnet", {"hint_layer": 0}, described("resnet20"), described("vgg8"), "allowed: 1, 2, 3"),
    ("fitnet", {}, network(((4, 8, 8), (4, 2, 2))), network(((4, 8, 8), (4, 8, 8))), "too small"),
    ("ab", {}, network(((4, 8, 8), (4, 2, 2))), network(((4, 8, 8), (4, 8, 8))), "at stage 2"),
]


@pytest.mark.parametrize(("name", "options", "student", "teacher", "why"), REFUSED)
def test_refusals_name_networks_and_shapes_in_one_line(
    name: str, options: dict[str, Any], student: ModelSpec, teacher: ModelSpec, why: str
) -> None:
    method = registry.load(name)
    with pytest.raises(UserError) as caught:
        method.check(method.Options(**options), student, teacher)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{name} ")
    assert why in message
    for network_ in (student, teacher):
        assert network_.arch in message
        c, h, w = network_.feature_shapes[-1]
        assert f"{c}x{h}x{w}" in message


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_regressor_gives_the_teachers_shape(h: int, w: int, rows: int, columns: int) -> None:
    student, teacher = (2, h, w), (3, rows, columns)
    if regressible(student, teacher):
        maps = Regressor(student, teacher, relu=True).eval()(torch.randn(2, *student))
        assert maps.shape == (2, *teacher)
        assert (maps >= 0).all()
    else:
        assert h < rows or w < columns
