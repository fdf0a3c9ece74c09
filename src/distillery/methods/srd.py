"""A simple recipe: the projector's role (Miles and Mikolajczyk, AAAI 2024, arXiv:2303.11098)."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.conditions import NotWith
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.similarity import row_divergence
from distillery.models.base import Outputs

# Of both normalisations, as in the authors' code.
_EPSILON = 1e-4


class SRD(Method):
    """A linear projector, batch-normalised features and a soft maximum of their distance.

    ``log(sum_{i,d} |BN(W f_S + b) - BN(f_T)|^exponent)`` over the batch and the dimensions, of the
    embeddings, plus KD's divergence at temperature 1. Neither normalisation has parameters, and
    both use the statistics of the batch. There is no lower bound: features that coincide give minus
    infinity, as in the authors' code. A batch needs at least two samples.

    Published for ImageNet alone; torchdistill's version agrees, but recent versions of it leave the
    teacher itself in training mode.

    Extra memory at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 0.3 MB kept for the
    backward pass, 0.4 MB at the peak.
    """

    title = "SRD"
    paper = Paper("Miles and Mikolajczyk", "AAAI", 2024, "2303.11098")
    kind = "feature"
    disagreement = (
        "Recent versions of torchdistill leave the teacher in training mode; it is in evaluation "
        "mode here."
    )
    source = (
        "Miles and Mikolajczyk 2024; exponent 4, weights 2 and 1 from the authors' ImageNet code"
    )
    needs = frozenset({"logits", "embedding"})
    weights = Weights(ce=1.0, method=1.0)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of SRD."""

        exponent: Annotated[float, NotWith("representation_weight", 0)] = Field(default=4.0, ge=1)
        """Power of the differences; the larger, the more the largest count."""
        representation_weight: float = Field(default=2.0, ge=0)
        """Weight of the features' term."""
        temperature: float = Field(default=1.0, gt=0)
        """T of the logits' term, which is scaled by its square."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.projector = nn.Linear(context.student.embedding_dim, context.teacher.embedding_dim)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``representation``, with its weight, and ``logits``.

        Logits have shape (B, C); the embeddings are (B, D_S) and (B, D_T).
        """
        options = self.options
        projected = _standardised(self.projector(upcast(student.embedding)))
        apart = (projected - _standardised(upcast(teacher.embedding))).abs()
        rows = row_divergence(upcast(student.logits), upcast(teacher.logits), options.temperature)
        return {
            "representation": options.representation_weight * (apart**options.exponent).sum().log(),
            "logits": rows.mean(),
        }


def _standardised(embedding: Tensor) -> Tensor:
    return F.batch_norm(embedding, None, None, training=True, eps=_EPSILON)
