"""Probabilistic knowledge transfer (Passalis & Tefas, ECCV 2018, arXiv:1803.10837)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs


class PKT(Method):
    """``mean_ij(q_ij * log((q_ij + eps) / (p_ij + eps)))`` of neighbourhood distributions.

    Row i of p (student) and q (teacher) holds the similarities ``(1 + cos) / 2`` of sample i to all
    samples, itself included, divided by their sum. The mean over B^2, as in the authors' code,
    makes the numbers tiny: hence the weight of 30,000.

    Extra memory at B = 64: 170 kB kept for the backward pass, 260 kB at its peak.
    """

    title = "PKT"
    paper = Paper("Passalis & Tefas", "ECCV", 2018, "1803.10837")
    kind = "relation"
    source = "Passalis & Tefas 2018; weight 30000 from RepDistiller"
    needs = frozenset({"embedding"})
    weights = Weights(method=30000.0)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of PKT."""

        eps: float = Field(default=1e-7, gt=0)
        """Added to probabilities before the logarithm, and to the lengths of embeddings."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``neighbourhood``. Embeddings have shape (B, D)."""
        eps = self.options.eps
        p = neighbourhoods(student.embedding, eps)
        q = neighbourhoods(teacher.embedding, eps)
        return {"neighbourhood": (q * torch.log((q + eps) / (p + eps))).mean()}


def neighbourhoods(embeddings: Tensor, eps: float) -> Tensor:
    """Return each sample's distribution over the batch by cosine similarity, (B, D) -> (B, B)."""
    points = upcast(embeddings)
    units: Tensor = points / (torch.linalg.vector_norm(points, dim=1, keepdim=True) + eps)
    # A cosine may fall below -1 by rounding.
    similarities = ((1 + units @ units.T) / 2).clamp(min=0)
    return similarities / similarities.sum(dim=1, keepdim=True)
