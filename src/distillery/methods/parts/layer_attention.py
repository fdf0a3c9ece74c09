"""Attention between the layers of two networks (AFD, Ji et al., AAAI 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerAttention(nn.Module):
    """Scores each pair of a querying layer and a key layer, for every sample.

    A layer is described by one number a channel. A query is ``BN(W_q d_q)``, a key
    ``ReLU(BN(W_k d_k))``; one further linear map and BatchNorm, shared by all key layers, turns a
    key into as many vectors as there are queries. The score is the inner product of a query and its
    vector of the key, plus that of two learned positions, divided by the root of the dimension.

    The largest arrays have Q * K * dim numbers a sample.
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
        answers = self.bilinear(offered.flatten(0, 1)).unflatten(1, asked.shape[1:])
        answers = answers.unflatten(0, offered.shape[:2])
        content = torch.einsum("bqd,bkqd->bqk", asked, answers)
        position = self.query_position @ self.key_position.T
        return (content + position) / math.sqrt(asked.shape[2])


def _linear_bn(in_features: int, out_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_features, out_features), nn.BatchNorm1d(out_features))
