"""Relational knowledge distillation (Park et al., CVPR 2019, arXiv:1904.05068)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.similarity import squared_distances
from distillery.models.base import Outputs

# Points nearer than 1e-6 (or than a millionth of the largest distance) count as one point.
_COINCIDENT = 1e-12


class RKD(Method):
    """Huber loss between the distances of all pairs and the angles of all triplets of embeddings.

    Distances are divided by their mean; the loss is the mean over B^2, zero diagonal included. An
    angle is the cosine at sample i of the triangle i, j, k; the mean is over B^3.

    Both come from the (B, B) squared distances, the cosines by the law of cosines: no array of
    differences (B, B, D) is made.

    Extra memory: four (B, B, B) arrays kept for the backward pass and six at its peak, 4.4 MB and
    6.6 MB at B = 64. With the dimension only a few copies of the embeddings grow.
    """

    title = "RKD"
    paper = Paper("Park et al.", "CVPR", 2019, "1904.05068")
    kind = "relation"
    source = "Park et al. 2019; factors 25 and 50 and weight 1 from RepDistiller"
    needs = frozenset({"embedding"})
    weights = Weights(method=1.0)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of RKD."""

        distance_weight: float = Field(default=25.0, ge=0)
        """Weight of the distances within the method."""
        angle_weight: float = Field(default=50.0, ge=0)
        """Weight of the angles within the method."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``distance`` and ``angle``, weighted. Embeddings are (B, D)."""
        squared = squared_distances(upcast(student.embedding))
        target = squared_distances(upcast(teacher.embedding))
        distance = F.smooth_l1_loss(relative_distances(squared), relative_distances(target))
        angle = F.smooth_l1_loss(cosines(squared), cosines(target))
        return {
            "distance": self.options.distance_weight * distance,
            "angle": self.options.angle_weight * angle,
        }


def relative_distances(squared: Tensor) -> Tensor:
    """Return distances over their mean without the diagonal, (B, B) -> (B, B); 0 for one sample."""
    size = len(squared)
    apart = ~torch.eye(size, dtype=torch.bool, device=squared.device)
    # Clamped before the root, whose slope at zero is infinite.
    distances = squared.clamp(min=_COINCIDENT).sqrt() * apart
    return distances / (distances.sum() / max(size * (size - 1), 1)).clamp(min=_COINCIDENT)


def cosines(squared: Tensor) -> Tensor:
    """Return the cosine of the angle at i between j and k, from squared distances (B, B).

    Returns:
        (B, B, B); 0 where j or k coincides with i.
    """
    floor = _COINCIDENT * squared.detach().amax().clamp(min=1.0)
    coincident = squared <= floor
    inverse = (2 * squared).masked_fill(coincident, 1.0).rsqrt().masked_fill(coincident, 0.0)
    products = squared[:, :, None] + squared[:, None, :]
    products -= squared[None, :, :]
    return products * inverse[:, :, None] * inverse[:, None, :]
