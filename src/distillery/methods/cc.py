"""Correlation congruence (Peng et al., ICCV 2019, arXiv:1904.01802)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.conditions import OnlyWith
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs


class CorrelationCongruence(Method):
    """Compares how the samples of a batch relate, on linear embeddings e of either network.

    ``neighbours`` is RepDistiller's stand-in, which the published CIFAR numbers used: with
    ``d_i = |e_S,i - e_T,i|``, the mean of ``sum(d_i * d_(i+1))`` over samples next to each other.
    It depends on the order of the batch, and would vanish if both embeddings shrank to a point.

    ``kernel`` is the paper's: ``||K_S - K_T||_F^2 / B^2``, where K holds the Gaussian kernel of
    unit rows, expanded to a Taylor polynomial in their cosines,
    ``exp(-2 gamma) * sum_p (2 gamma)^p / p! * cos^p``. torchdistill does not square the norm.

    Both embeddings are trained in either variant.

    Extra memory at B = 64, dim 128: 66 kB kept for the backward pass, 160 kB at its peak.
    """

    title = "CC"
    paper = Paper("Peng et al.", "ICCV", 2019, "1904.01802")
    kind = "relation"
    disagreement = (
        "RepDistiller multiplies neighbouring differences, torchdistill compares kernel matrices "
        "without squaring the norm; the first by default, the second squared as `variant: "
        "kernel`."
    )
    source = "Peng et al. 2019; variant, dimension and weight 0.02 from RepDistiller"
    needs = frozenset({"embedding"})
    weights = Weights(method=0.02)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of CC."""

        variant: Literal["neighbours", "kernel"] = "neighbours"
        """RepDistiller's product of neighbouring differences, or the paper's kernel matrices."""
        dim: int = Field(default=128, ge=1)
        """Dimension of both embeddings."""
        gamma: Annotated[float, OnlyWith("variant", "kernel")] = Field(default=0.4, gt=0)
        """Of ``kernel``: the kernel is exp(-gamma * squared distance)."""
        order: Annotated[int, OnlyWith("variant", "kernel")] = Field(default=2, ge=1)
        """Of ``kernel``: degree of the Taylor polynomial."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.student_embed = nn.Linear(context.student.embedding_dim, options.dim)
        self.teacher_embed = nn.Linear(context.teacher.embedding_dim, options.dim)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``correlation``. Embeddings have shape (B, D)."""
        students = self.student_embed(upcast(student.embedding))
        teachers = self.teacher_embed(upcast(teacher.embedding))
        return {"correlation": self.compare(upcast(students), upcast(teachers))}

    def compare(self, students: Tensor, teachers: Tensor) -> Tensor:
        """Return the loss of embeddings (B, dim)."""
        if self.options.variant == "neighbours":
            return neighbour_correlation(students, teachers)
        gamma, order = self.options.gamma, self.options.order
        difference = kernel_matrix(students, gamma, order) - kernel_matrix(teachers, gamma, order)
        return difference.square().mean()


def neighbour_correlation(students: Tensor, teachers: Tensor) -> Tensor:
    """Return the mean product of the differences of neighbouring samples; 0 for a single one.

    Args:
        students: (B, D).
        teachers: (B, D).
    """
    difference = (students - teachers).abs()
    return (difference[:-1] * difference[1:]).sum() / max(len(difference) - 1, 1)


def kernel_matrix(points: Tensor, gamma: float, order: int) -> Tensor:
    """Return the Taylor polynomial of the Gaussian kernel between unit rows, (B, D) -> (B, B)."""
    units = F.normalize(points, dim=1)
    exponent = 2 * gamma * (units @ units.T)
    # Horner's rule for the sum of exponent^p / p!.
    series = torch.ones_like(exponent)
    for power in range(order, 0, -1):
        series = 1 + exponent / power * series
    return math.exp(-2 * gamma) * series
