"""Pooling equals its definition; SoftPool a loop, where the released code does not."""

from __future__ import annotations

import math

import pytest
import torch
from feature_probes import quick
from hypothesis import given
from hypothesis import strategies as st

from distillery.methods.parts.pooling import (
    pool_to,
    soft_pool,
    soft_pool2d,
    soft_pool_to,
    to_same_size,
)


def pooled_by_hand(values: list[float]) -> float:
    largest = max(values)
    weights = [math.exp(value - largest) for value in values]
    weighted = math.fsum(w * v for w, v in zip(weights, values, strict=True))
    return weighted / math.fsum(weights)


@quick
@given(
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    scale=st.sampled_from([0.1, 1.0, 1e4]),
    shift=st.sampled_from([0.0, -50.0, 1e4]),
)
def test_equals_a_loop(
    size: tuple[int, int], kernel: int, stride: int, scale: float, shift: float
) -> None:
    maps = torch.randn(2, 3, *size, dtype=torch.float64) * scale + shift
    found = soft_pool2d(maps, kernel, stride)
    rows = range(0, size[0] - kernel + 1, stride)
    columns = range(0, size[1] - kernel + 1, stride)
    assert found.shape == (2, 3, len(rows), len(columns))
    for image in range(2):
        for channel in range(3):
            for i, row in enumerate(rows):
                for j, column in enumerate(columns):
                    window = maps[image, channel, row : row + kernel, column : column + kernel]
                    expected = pooled_by_hand(window.flatten().tolist())
                    assert found[image, channel, i, j].item() == pytest.approx(expected)


def test_global_pooling_is_one_window() -> None:
    maps = torch.randn(2, 3, 5, 5)
    assert torch.allclose(soft_pool(maps), soft_pool2d(maps, 5)[:, :, 0, 0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_and_negative_values_stay_finite(dtype: torch.dtype) -> None:
    maps = torch.tensor([1e4, -1e4, 9e3, 0.0]).reshape(1, 1, 2, 2).to(dtype).requires_grad_()
    pooled = soft_pool(maps)
    pooled.sum().backward()
    assert pooled.dtype == dtype
    assert pooled.item() == pytest.approx(1e4, rel=0.01)
    assert maps.grad is not None
    assert maps.grad.isfinite().all()
    negative = torch.full((1, 2, 3, 3), -3.0, dtype=dtype)
    assert torch.equal(soft_pool2d(negative, 2), torch.full((1, 2, 1, 1), -3.0, dtype=dtype))


def test_lies_between_mean_and_maximum_and_stride_defaults_to_the_kernel() -> None:
    maps = torch.randn(4, 3, 6, 6)
    pooled = soft_pool2d(maps, 2)
    assert torch.equal(pooled, soft_pool2d(maps, 2, 2))
    assert (pooled >= torch.nn.functional.avg_pool2d(maps, 2) - 1e-6).all()
    assert (pooled <= torch.nn.functional.max_pool2d(maps, 2) + 1e-6).all()


def test_the_gradient_flows_through_the_weights() -> None:
    maps = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: soft_pool2d(x, 3, 1), maps)


@quick
@given(
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    target=st.tuples(st.integers(1, 8), st.integers(1, 8)),
)
def test_resizes_over_the_windows_of_adaptive_pooling(
    size: tuple[int, int], target: tuple[int, int]
) -> None:
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    found = soft_pool_to(maps, *target)
    assert found.shape == (2, 3, *target)
    for i in range(target[0]):
        top, bottom = i * size[0] // target[0], math.ceil((i + 1) * size[0] / target[0])
        for j in range(target[1]):
            left, right = j * size[1] // target[1], math.ceil((j + 1) * size[1] / target[1])
            window = maps[0, 2, top:bottom, left:right].flatten().tolist()
            assert found[0, 2, i, j].item() == pytest.approx(pooled_by_hand(window))


@quick
@given(
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    target=st.tuples(st.integers(1, 8), st.integers(1, 8)),
)
def test_averages_are_those_of_adaptive_pooling(
    size: tuple[int, int], target: tuple[int, int]
) -> None:
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = torch.nn.functional.adaptive_avg_pool2d(maps, target)
    assert torch.allclose(pool_to(maps, *target), expected)


@pytest.mark.parametrize("format_", [torch.contiguous_format, torch.channels_last])
def test_global_pooling_keeps_no_weights_and_has_the_right_gradient(
    format_: torch.memory_format,
) -> None:
    maps = torch.randn(2, 3, 4, 4, dtype=torch.float64).to(memory_format=format_)
    maps.requires_grad_()
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        pooled = soft_pool(maps)
    assert not [tensor for tensor in kept if tensor.data_ptr() != maps.data_ptr()]
    shares = maps.detach().flatten(2).softmax(2)
    slope = shares * (1 + maps.detach().flatten(2) - pooled.detach()[:, :, None])
    pooled.sum().backward()
    assert maps.grad is not None
    assert torch.allclose(maps.grad.flatten(2), slope)


@pytest.mark.parametrize("target", [(8, 8), (4, 2), (1, 1), (3, 5)])
def test_the_larger_map_is_pooled_to_the_smaller(target: tuple[int, int]) -> None:
    small, large = torch.rand(2, 5, *target), torch.rand(2, 3, 8, 8)
    for maps in (to_same_size(small, large), to_same_size(large, small)[::-1]):
        assert torch.equal(maps[0], small)
        assert torch.equal(maps[1], pool_to(large, *target))
