"""Projection heads onto the unit sphere."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SphereHead(nn.Module):
    """A linear map followed by L2 normalisation (the embedding head of CRD, Tian et al. 2020)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (B, in_features) to unit vectors (B, out_features)."""
        return F.normalize(self.linear(embedding), dim=1)
