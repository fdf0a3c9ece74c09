"""Hints from a middle layer, FitNets (Romero et al., ICLR 2015, arXiv:1412.6550)."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Weights
from distillery.methods.parts.pairing import mismatch, pair_stages
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.regressor import Regressor, regressible
from distillery.models.base import ModelSpec, Outputs


class FitNet(Method):
    """``mean((r(F_S) - F_T)^2)`` over all elements of one pair of stage maps.

    The regressor r is a convolution, BatchNorm and ReLU (``parts.regressor``), trained together
    with the student in a single stage as in RepDistiller; the paper first trains up to the hint
    alone. The ReLU presumes a teacher's map that is not negative.

    Extra memory, at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 25 MB kept for the backward
    pass, 34 MB at its peak.
    """

    title = "FitNet"
    source = "Romero et al. 2015; regressor, hint layer 2 and weight 100 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=100.0)

    class Options(FrozenModel):
        """Hyperparameters of FitNet."""

        hint_layer: int = Field(default=2, ge=0)
        """Stage of the student whose map is guided, from 0 for the stem."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        ours, theirs = self.stages = hint_stages(options, context.student, context.teacher)
        self.regressor = Regressor(
            context.student.feature_shapes[ours], context.teacher.feature_shapes[theirs], relu=True
        )

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse a hint layer that has no partner, or maps that no regressor joins."""
        hint_stages(options, student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``hint``. Maps have shape (B, C, H, W)."""
        ours, theirs = self.stages
        regressed = self.regressor(upcast(student.features[ours]))
        target = upcast(teacher.features[theirs])
        return {"hint": F.mse_loss(upcast(regressed), target)}


def hint_stages(options: FitNet.Options, student: ModelSpec, teacher: ModelSpec) -> tuple[int, int]:
    """Return the stages of student and teacher that the hint joins.

    Raises:
        UserError: there is none, or their sizes do not suit a regressor.
    """
    pairs = dict(pair_stages("fitnet", student, teacher, first=0))
    ours = options.hint_layer
    if ours not in pairs:
        allowed = ", ".join(str(stage) for stage in pairs)
        why = f"options.hint_layer is {ours}, which has no partner (allowed: {allowed})"
        raise mismatch("fitnet", student, teacher, why)
    shapes = student.feature_shapes[ours], teacher.feature_shapes[pairs[ours]]
    if not regressible(*shapes):
        why = f"at hint layer {ours} the student's map is too small for a regressor"
        raise mismatch("fitnet", student, teacher, why)
    return ours, pairs[ours]
