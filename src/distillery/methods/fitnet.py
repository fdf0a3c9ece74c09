"""Hints from a middle layer, FitNets (Romero et al., ICLR 2015, arXiv:1412.6550)."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.heads import Regressor, regressible
from distillery.methods.parts.matching import Mismatch, pair_stages
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs


class FitNet(Method):
    """``mean((r(F_S) - F_T)^2)`` over all elements of one pair of stage maps.

    The regressor r is a convolution, BatchNorm and ReLU (``parts.heads``), trained together
    with the student in a single stage as in RepDistiller; the paper first trains up to the hint
    alone. The ReLU presumes a teacher's map that is not negative.

    Extra memory, at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 25 MB kept for the backward
    pass, 34 MB at its peak.
    """

    title = "FitNet"
    paper = Paper("Romero et al.", "ICLR", 2015, "1412.6550")
    kind = "feature"
    disagreement = "The paper trains in two stages; in one, as RepDistiller and mdistiller."
    source = "Romero et al. 2015; regressor, hint layer 2 and weight 100 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=100.0)

    class Options(FrozenModel):
        """Hyperparameters of FitNet."""

        hint_layer: int = Field(default=2, ge=0)
        """Stage of the student whose map is guided, from 0 for the stem."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        student_stage, teacher_stage = self.stages = hint_stages(
            options, context.student, context.teacher
        )
        self.regressor = Regressor(
            context.student.feature_shapes[student_stage],
            context.teacher.feature_shapes[teacher_stage],
            relu=True,
        )

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse a hint layer that has no partner, or maps that no regressor joins."""
        hint_stages(options, student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``hint``. Maps have shape (B, C, H, W)."""
        student_stage, teacher_stage = self.stages
        regressed = self.regressor(upcast(student.features[student_stage]))
        target = upcast(teacher.features[teacher_stage])
        return {"hint": F.mse_loss(upcast(regressed), target)}


def hint_stages(options: FitNet.Options, student: ModelSpec, teacher: ModelSpec) -> tuple[int, int]:
    """Return the stages of student and teacher that the hint joins.

    Raises:
        Mismatch: there is none, or their sizes do not suit a regressor.
    """
    pairs = dict(pair_stages("fitnet", student, teacher, first=0))
    student_stage = options.hint_layer
    if student_stage not in pairs:
        allowed = ", ".join(str(stage) for stage in pairs)
        why = f"options.hint_layer is {student_stage}, which has no partner (allowed: {allowed})"
        raise Mismatch("fitnet", student, teacher, why)
    shapes = student.feature_shapes[student_stage], teacher.feature_shapes[pairs[student_stage]]
    if not regressible(*shapes):
        why = f"at hint layer {student_stage} the student's map is too small for a regressor"
        raise Mismatch("fitnet", student, teacher, why)
    return student_stage, pairs[student_stage]
