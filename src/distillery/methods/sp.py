"""Similarity-preserving distillation (Tung & Mori, ICCV 2019, arXiv:1907.09682)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs


class SimilarityPreserving(Method):
    """``||G_S - G_T||_F^2 / B^2``, with G the similarities of the batch's samples to each other.

    G is the Gram matrix of the flattened last stage maps, each row scaled to Euclidean length 1, as
    in the paper and RepDistiller. torchdistill scales by the sum of absolute values, another loss.

    Extra memory, at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 33 kB kept for the backward
    pass, 8 MB at its peak.
    """

    title = "SP"
    paper = Paper("Tung & Mori", "ICCV", 2019, "1907.09682")
    kind = "relation"
    disagreement = (
        "torchdistill scales by sums of absolute values; by lengths, as the paper, RepDistiller "
        "and mdistiller."
    )
    source = "Tung & Mori 2019; last map and weight 3000 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=3000.0)
    couples_batch = True

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``similarity``. Maps are (B, C, H, W)."""
        difference = similarities(student.features[-1]) - similarities(teacher.features[-1])
        return {"similarity": difference.square().mean()}


def similarities(maps: Tensor) -> Tensor:
    """Return the Gram matrix of a batch (B, ...), rows of unit length: (B, B)."""
    flat = upcast(maps).flatten(1)
    return F.normalize(flat @ flat.T, dim=1)
