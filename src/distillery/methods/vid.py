"""Variational information distillation (Ahn et al., CVPR 2019, arXiv:1904.05835)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.matching import pair_stages
from distillery.methods.parts.pooling import to_same_size
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs


class VID(Method):
    """Negative log-likelihood of the teacher's maps, normal around a regression of the student's.

    ``mean(((mu(F_S) - F_T)^2 / var + log var) / 2)`` over all elements, summed over the stages
    behind the stem (``parts.matching``); the larger map is average-pooled first. Each channel has a
    learned variance. The constant log(2 pi) / 2 is left out, so that the loss can be negative.

    The variances are parameters, as in the paper and RepDistiller. In mdistiller they keep their
    first value, because no module or optimiser knows of them.

    Extra memory, at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 88 MB kept for the backward
    pass, 101 MB at its peak.
    """

    title = "VID"
    paper = Paper("Ahn et al.", "CVPR", 2019, "1904.05835")
    kind = "feature"
    disagreement = (
        "In mdistiller the variances keep their initial value; trained, as the paper and "
        "RepDistiller."
    )
    source = "Ahn et al. 2019; regressors, variance 5 and weight 1 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=1.0)

    class Options(FrozenModel):
        """Hyperparameters of VID."""

        init_variance: float = Field(default=5.0, gt=0.001)
        """Variance of every channel at the start."""
        min_variance: float = Field(default=1e-5, gt=0, lt=0.001)
        """Added to the learned variance, which stays above it."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.pairs = pair_stages("vid", context.student, context.teacher)
        self.channels = nn.ModuleList(
            GaussianChannel(
                context.student.feature_shapes[student_stage][0],
                context.teacher.feature_shapes[teacher_stage][0],
                options.init_variance,
                options.min_variance,
            )
            for student_stage, teacher_stage in self.pairs
        )

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks without stage maps to pair."""
        pair_stages("vid", student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return a term for each stage of the student. Maps have shape (B, C, H, W)."""
        terms = {}
        for (student_stage, teacher_stage), channel in zip(self.pairs, self.channels, strict=True):
            maps = to_same_size(
                upcast(student.features[student_stage]), upcast(teacher.features[teacher_stage])
            )
            terms[f"stage{student_stage}"] = channel(*maps)
        return terms


class GaussianChannel(nn.Module):
    """Predicts the mean of a teacher's map from a student's, with one variance a channel."""

    def __init__(
        self, in_channels: int, out_channels: int, init_variance: float, min_variance: float
    ) -> None:
        super().__init__()
        start = init_variance - min_variance
        # The inverse of softplus.
        self.log_scale = nn.Parameter(
            torch.full((out_channels,), start + math.log(-math.expm1(-start)))
        )
        self.regressor = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 1, bias=False),
        )
        self.min_variance = min_variance

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of the teacher's map, a scalar.

        Args:
            student: (B, C, H, W).
            teacher: (B, C', H, W), of the student's size.
        """
        error = upcast(self.regressor(student)) - teacher
        variance = F.softplus(self.log_scale) + self.min_variance
        # The variance is constant in a channel: average the squares first.
        return 0.5 * (error.square().mean(dim=(0, 2, 3)) / variance + variance.log()).mean()
