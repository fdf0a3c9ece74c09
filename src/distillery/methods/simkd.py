"""Knowledge distillation with the reused teacher classifier (Chen et al., CVPR 2022)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.pooling import to_same_size
from distillery.methods.parts.precision import upcast
from distillery.models import registry as models
from distillery.models.base import Classifier, ModelSpec, Outputs


class SimKD(Method):
    """``mean((b(F_S) - F_T)^2)`` of the last maps; the teacher's classifier then predicts.

    The bottleneck b (1x1, 3x3 and 1x1 convolutions, each with BatchNorm and ReLU) and the teacher's
    classifier belong to the student, in training, in tests and when it is exported: the network
    that is trained is ``<student>_head<D>f<factor>`` (``models.reused_head``), whose parameters the
    cost tables count. The larger map is average-pooled to the other's size. There is no
    cross-entropy.

    arXiv:2203.14001.

    Extra memory at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 8 MB at the peak of the loss; the
    bottleneck's own is the student's.
    """

    title = "SimKD"
    paper = Paper("Chen et al.", "CVPR", 2022, "2203.14001")
    kind = "feature"
    source = "Chen et al. 2022; factor 2, weight 1 and no other term from the authors' code"
    needs = frozenset({"last_map", "classifier"})
    weights = Weights(ce=0.0, method=1.0)

    class Options(FrozenModel):
        """Hyperparameters of SimKD."""

        factor: int = Field(default=2, ge=1)
        """The bottleneck has the teacher's channels divided by this."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        # Not a part of the method: it is copied into the student, which owns it.
        self._teacher_head = (context.teacher_head,)

    @classmethod
    def student_arch(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> str:
        """Return the student with the bottleneck and a head of the teacher's width."""
        assert student.map_shape
        assert teacher.map_shape
        smaller = teacher.map_shape[1] < student.map_shape[1]
        side = teacher.map_shape[1] if smaller else None
        return models.reusing_head(student.arch, teacher.embedding_dim, options.factor, side)

    def prepare_student(self, student: Classifier) -> None:
        """Give the student the teacher's head, which is not trained."""
        (head,) = self._teacher_head
        assert head is not None
        with torch.no_grad():
            for own, given in zip(student.head.parameters(), head.parameters(), strict=True):
                own.copy_(given)
        student.head.requires_grad_(False)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``map``. Both last maps have shape (B, D, h, w)."""
        assert student.last_map is not None
        assert teacher.last_map is not None
        return {
            "map": F.mse_loss(*to_same_size(upcast(student.last_map), upcast(teacher.last_map)))
        }
