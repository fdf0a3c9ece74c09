"""Pairs of heads that bring two networks' embeddings onto one unit sphere."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.methods.aecrd.options import HeadKind
from distillery.methods.parts.heads import SphereHead


class MLPSphereHead(nn.Module):
    """Two linear maps with a ReLU between them, then L2 normalisation.

    The head of SimCLR (Chen et al. 2020); its hidden layer is as wide as the embedding.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, in_features)
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (B, in_features) to unit vectors (B, out_features)."""
        return F.normalize(self.linear(self.hidden(embedding).relu()), dim=1)


class OwnSpace(nn.Module):
    """L2 normalisation alone."""

    def forward(self, embedding: Tensor) -> Tensor:
        """Scale (B, D) to unit vectors."""
        return F.normalize(embedding, dim=1)


def new_heads(kind: HeadKind, student: int, teacher: int, dim: int) -> tuple[nn.Module, nn.Module]:
    """Return the student's and the teacher's head.

    Args:
        kind: linear maps, as CRD; perceptrons; or a linear map of the student's embedding alone,
            into the teacher's space.
        student: length of the student's embedding.
        teacher: length of the teacher's embedding.
        dim: length of the projections; that of the teacher's embedding with ``teacher-space``.
    """
    if kind == "teacher-space":
        return SphereHead(student, teacher), OwnSpace()
    head = SphereHead if kind == "projection" else MLPSphereHead
    return head(student, dim), head(teacher, dim)
