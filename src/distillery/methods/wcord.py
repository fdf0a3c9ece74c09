"""Wasserstein contrastive representation distillation (Chen et al., CVPR 2021, arXiv:2012.08674).

No official code was found, and the full text was not at hand: this is a reconstruction from the
abstract and from what other papers report. It is NOT CHECKED AGAINST OFFICIAL CODE or numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from distillery.core.conditions import NotWith
from distillery.methods.base import Batch, Context, Paper, Weights
from distillery.methods.crd import CRD
from distillery.methods.parts.nce import Block
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs


class WCoRD(CRD):
    """CRD with a 1-Lipschitz critic, and optimal transport between the batch's embeddings.

    * Global (weight 0.8), after the dual form of the Wasserstein distance: the NCE of CRD with its
      two memory banks, whose critic, the inner product of a projection and a bank entry, is
      1-Lipschitz (``LipschitzHead``). Terms ``student_anchor`` and ``teacher_anchor``.
    * Local (weight 0.05), the primal form: the cost of the entropic transport plan
      (``transport_plan``) between the projections of the batch's images by the two networks; the
      cost of moving one to another is 1 minus their cosine. Term ``local``.

    Beside the two weights, which are recalled values of the paper, ``epsilon`` and ``iterations``
    are this project's choice. The plan matches distributions, not images: it may pair a student
    embedding with the teacher embedding of another image.

    Extra memory: that of CRD, and 0.2 MB at B = 64, D = 128 for the local term.
    """

    title = "WCoRD"
    paper = Paper("Chen et al.", "CVPR", 2021, "2012.08674")
    kind = "contrastive"
    source = (
        "Chen et al. 2021, reconstructed, not checked against official code; weights recalled, "
        "other settings from CRD"
    )
    weights = Weights(method=1.0)

    class Options(CRD.Options):
        """Hyperparameters of WCoRD, beside those of CRD."""

        global_weight: float = Field(default=0.8, ge=0)
        """Weight of the contrastive terms."""
        local_weight: float = Field(default=0.05, ge=0)
        """Weight of the transport cost."""
        epsilon: Annotated[float, NotWith("local_weight", 0)] = Field(default=0.05, gt=0)
        """Weight of the transport plan's entropy; a cost lies between 0 and 2."""
        iterations: Annotated[int, NotWith("local_weight", 0)] = Field(default=50, ge=1)
        """Number of Sinkhorn iterations."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        for side, spec in (("student", context.student), ("teacher", context.teacher)):
            self.register_module(f"{side}_head", LipschitzHead(spec.embedding_dim, options.dim))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``student_anchor``, ``teacher_anchor`` and ``local``, weighted."""
        fixed = teacher._replace(embedding=teacher.embedding.detach())
        return super().forward(student, fixed, batch)

    def contrast(
        self,
        students: Tensor,
        teachers: Tensor,
        position: Tensor,
        positives: Tensor,
        negatives: Sequence[Block],
    ) -> dict[str, Tensor]:
        """Return CRD's terms and ``local``, all weighted; for the arguments see ``CRD``."""
        terms = super().contrast(students, teachers, position, positives, negatives)
        weighted = {name: self.options.global_weight * term for name, term in terms.items()}
        local = self.options.local_weight * self.transport(students, teachers)
        return {**weighted, "local": local}

    def transport(self, students: Tensor, teachers: Tensor) -> Tensor:
        """Return the cost of moving student vectors to teacher vectors, both (B, D)."""
        cost = 1 - F.normalize(students, dim=1) @ F.normalize(teachers, dim=1).T
        plan = transport_plan(cost, self.options.epsilon, self.options.iterations)
        return (plan * cost).sum()


class LipschitzHead(nn.Module):
    """A linear map of spectral norm 1, followed by the projection onto the unit ball.

    Neither step enlarges a distance; dividing by the L2 norm instead would, near zero. The norm of
    the linear map is kept at 1 by one power iteration a training step (Miyato et al., ICLR 2018,
    arXiv:1802.05957).
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = spectral_norm(nn.Linear(in_features, out_features))

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (B, in_features) to vectors (B, out_features) of length at most 1."""
        mapped: Tensor = self.linear(upcast(embedding))
        lengths: Tensor = mapped.norm(dim=1, keepdim=True)
        return mapped / lengths.clamp_min(1.0)


@torch.no_grad()
def transport_plan(cost: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Return the plan that moves one uniform distribution to another at the least cost.

    Sinkhorn's iterations on logarithms, which neither overflow nor vanish at a small ``epsilon``.
    No gradient flows through them: at convergence the derivative of the regularised optimum by the
    costs is the plan itself, so that ``(plan * cost).sum()`` has the right gradient.

    Args:
        cost: (N, M).
        epsilon: weight of the plan's entropy, in units of the cost.
        iterations: number of times that rows and columns are both scaled.

    Returns:
        (N, M), not negative; columns sum to 1 / M, and rows to 1 / N as far as it has converged.
    """
    rows, columns = cost.shape
    kernel = -cost / epsilon
    column_scale = torch.zeros_like(kernel[0])
    for _ in range(iterations):
        row_scale = -math.log(rows) - torch.logsumexp(kernel + column_scale, dim=1)
        column_scale = -math.log(columns) - torch.logsumexp(kernel + row_scale[:, None], dim=0)
    return torch.exp(kernel + row_scale[:, None] + column_scale)
