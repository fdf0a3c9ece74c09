"""Attention between the layers of two networks, which AFD and RTK share (Ji et al., AAAI 2021).

A method reads far less of a layer than the layer itself: of the output of a block, one number a
channel, which queries and keys are made of, and one a position, which are compared. Reading them
while the network runs spares the memory of all blocks of the teacher, and that of the gradients of
all blocks of the student at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distillery.methods.parts.pooling import soft_pool

_Layer = TypeVar("_Layer")


class Reading(NamedTuple):
    """What is read of one layer."""

    description: Tensor
    """(B, c), each channel pooled over its positions."""
    energy: Tensor
    """(B, h, w), mean over the channels of the squares."""


def read(block: Tensor, pool: Literal["average", "softpool"] = "average") -> Reading:
    """Read a block (B, c, h, w), in single precision at least."""
    dtype = block.dtype if block.element_size() >= 4 else torch.float32
    if pool == "softpool":
        description = soft_pool(block).to(dtype)
    else:
        description = block.mean((2, 3), dtype=dtype)
    # The norm keeps neither squares nor a copy in single precision for the backward pass.
    length = torch.linalg.vector_norm(block, dim=1, dtype=dtype)
    return Reading(description, length.square() / block.shape[1])


def pair_up(parts: Sequence[Tensor]) -> list[Reading]:
    """Return the readings of which ``parts`` are the tensors: (B, c) and (B, h, w) by turns."""
    return [Reading(*both) for both in zip(parts[::2], parts[1::2], strict=True)]


def detached(readings: Sequence[Reading]) -> list[Reading]:
    """Return the same readings without gradients."""
    return [Reading(*(part.detach() for part in reading)) for reading in readings]


def thinned(layers: Sequence[_Layer], limit: int) -> Sequence[_Layer]:
    """Return every n-th layer, ending with the last, with the least n that keeps to ``limit``."""
    step = max(math.ceil(len(layers) / limit), 1)
    return layers[(len(layers) - 1) % step :: step]


class LayerAttention(nn.Module):
    """Scores each pair of a querying layer and a key layer, for every sample.

    A layer is described by one number a channel. A query is ``BN(W_q d_q)``, a key
    ``ReLU(BN(W_k d_k))``; one further linear map and BatchNorm, shared by all key layers, turns a
    key into as many vectors as there are queries. The score is the inner product of a query and its
    vector of the key, plus that of two learned positions, divided by the root of the dimension.

    The largest arrays have Q * dim numbers a sample, or Q * dim^2 in all.
    """

    def __init__(
        self, query_channels: Sequence[int], key_channels: Sequence[int], dim: int
    ) -> None:
        super().__init__()
        self.query_position = nn.Parameter(torch.empty(len(query_channels), dim))
        self.key_position = nn.Parameter(torch.empty(len(key_channels), dim))
        self.keys = nn.ModuleList(_linear_bn(channels, dim) for channels in key_channels)
        self.bilinear = _linear_bn(dim, dim * len(query_channels))
        self.queries = nn.ModuleList(_linear_bn(channels, dim) for channels in query_channels)
        nn.init.xavier_normal_(self.query_position)
        nn.init.xavier_normal_(self.key_position)

    def forward(self, queries: Sequence[Tensor], keys: Sequence[Tensor]) -> Tensor:
        """Score descriptions of layers, (B, channels) each; return (B, Q, K), before a softmax."""
        asked = torch.stack(
            [layer(query) for layer, query in zip(self.queries, queries, strict=True)], dim=1
        )
        offered = torch.stack(
            [F.relu(layer(key)) for layer, key in zip(self.keys, keys, strict=True)], dim=1
        )
        position = self.query_position @ self.key_position.T
        return (self._content(asked, offered) + position) / math.sqrt(asked.shape[2])

    def _content(self, asked: Tensor, offered: Tensor) -> Tensor:
        """Return the inner products (B, Q, K) of queries (B, Q, d) and their vectors of the keys.

        A key's vectors, Q * d numbers for each of the B * K keys, are never made: the linear map is
        applied to the queries instead, and the BatchNorm between them, which is affine in the keys
        once its moments are known, is folded into it.
        """
        linear, norm = self.bilinear
        assert isinstance(linear, nn.Linear)
        assert isinstance(norm, nn.BatchNorm1d)
        mean, variance = _moments(linear, norm, offered.flatten(0, 1))
        scale = norm.weight * (variance + norm.eps).rsqrt()
        shift = (scale * (linear.bias - mean) + norm.bias).view(asked.shape[1:])
        weight = linear.weight.view(*asked.shape[1:], -1)
        turned = torch.einsum("bqd,qde->bqe", asked * scale.view(asked.shape[1:]), weight)
        return turned @ offered.mT + (asked * shift).sum(dim=2, keepdim=True)


def entropy(shares: Tensor, dim: int) -> Tensor:
    """Return ``-sum p ln p`` along an axis, in nats: 0 for a certainty, ln n for n equal shares.

    Args:
        shares: (..., n, ...), probabilities that add up to 1 along ``dim``; some may be 0.
        dim: the axis, which disappears.
    """
    spread: Tensor = torch.special.entr(shares.detach()).sum(dim)
    return spread


def _moments(linear: nn.Linear, norm: nn.BatchNorm1d, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and variance by which ``norm`` normalises ``linear(points)``.

    In training they are those of the batch, which follow from the moments of the points (N, d)
    themselves; the running ones are updated as the BatchNorm would.
    """
    running_mean, running_variance = norm.running_mean, norm.running_var
    assert running_mean is not None
    assert running_variance is not None
    if not norm.training:
        return running_mean, running_variance
    count, centre = len(points), points.mean(dim=0)
    deviations = points - centre
    covariance = deviations.T @ deviations / count
    mean = F.linear(centre, linear.weight, linear.bias)
    variance = (linear.weight @ covariance * linear.weight).sum(dim=1)
    with torch.no_grad():
        assert norm.momentum is not None
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked += 1
        running_mean.lerp_(mean, norm.momentum)
        running_variance.lerp_(variance * (count / (count - 1)), norm.momentum)
    return mean, variance


def _linear_bn(in_features: int, out_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_features, out_features), nn.BatchNorm1d(out_features))
