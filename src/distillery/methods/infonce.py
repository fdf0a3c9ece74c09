"""In-batch contrast of student and teacher embeddings, without a memory bank.

The contrastive objective of CRD with the negatives taken from the batch (InfoNCE, van den Oord et
al. 2018, arXiv:1807.03748). It is the common base of AECRD (no synthetic negatives) and FSECD.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Weights
from distillery.methods.parts.contrast import info_nce
from distillery.methods.parts.heads import SphereHead
from distillery.models.base import Outputs


class InBatchContrast(Method):
    """InfoNCE between projected student and teacher embeddings of the same batch.

    Extra memory: two (B, B) score matrices and the projections, 98 kB at B = 64, D = 128.
    """

    title = "In-batch contrast"
    kind = "contrastive"
    source = "van den Oord et al. 2018; heads, temperature and weight as CRD (Tian et al. 2020)"
    needs = frozenset({"embedding"})
    weights = Weights(method=0.8)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of the in-batch contrast."""

        dim: int = Field(default=128, ge=2)
        """Dimension of the space in which embeddings are compared."""
        temperature: float = Field(default=0.07, gt=0)
        """Divides the cosine similarities."""
        negatives: Literal["other-class", "all"] = "other-class"
        """Whether batch members of the anchor's own class count as negatives."""
        directions: Literal["both", "student"] = "both"
        """Student anchors against teacher candidates alone, or the reverse as well."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.student_head = SphereHead(context.student.embedding_dim, options.dim)
        self.teacher_head = SphereHead(context.teacher.embedding_dim, options.dim)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``student_anchor`` and, for both directions, ``teacher_anchor``."""
        students = self.student_head(student.embedding)
        teachers = self.teacher_head(teacher.embedding)
        terms = {"student_anchor": self._contrast(students, teachers, batch.labels)}
        if self.options.directions == "both":
            terms["teacher_anchor"] = self._contrast(teachers, students, batch.labels)
        return terms

    def _contrast(self, anchors: Tensor, candidates: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of anchors (B, D) and candidates (B, D), of which row i is i's own."""
        scores = anchors @ candidates.T / self.options.temperature
        if self.options.negatives == "other-class":
            is_own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
            same_class = labels[:, None] == labels[None, :]
            scores = scores.masked_fill(same_class & ~is_own, -torch.inf)
        return info_nce(scores)
