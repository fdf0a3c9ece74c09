"""Neuron selectivity transfer (Huang & Wang 2017, arXiv:1707.01219)."""

from __future__ import annotations

import torch
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.matching import pair_stages
from distillery.methods.parts.pooling import to_same_size
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs

# Channels without activity count as this long.
_SHORTEST = 1e-12


class NST(Method):
    """Maximum mean discrepancy between the channels of two maps, with the kernel ``(a . b)^2``.

    A channel is its spatial pattern, flattened and of unit length. The loss is
    ``mean k(s, s') + mean k(t, t') - 2 mean k(s, t)`` over the batch and all pairs of channels,
    summed over the stages behind the stem (``parts.matching``). The teacher's constant part is
    kept, as in RepDistiller, so that the loss is 0 where the channels agree.

    Kernel sums are taken from Gram matrices over channels, or over positions where those are fewer;
    the two are equal. No (B, C, C', H * W) array is made.

    Extra memory, at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 32 MB kept for the backward
    pass, 50 MB at its peak.
    """

    title = "NST"
    paper = Paper("Huang & Wang", "arXiv", 2017, "1707.01219")
    kind = "feature"
    source = "Huang & Wang 2017; polynomial kernel and weight 50 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=50.0)

    def __init__(self, options: FrozenModel, context: Context) -> None:
        super().__init__(options, context)
        self.pairs = pair_stages("nst", context.student, context.teacher)

    @classmethod
    def check(cls, options: FrozenModel, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks without stage maps to pair."""
        pair_stages("nst", student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return a term for each stage of the student. Maps have shape (B, C, H, W)."""
        return {
            f"stage{student_stage}": selectivity_loss(
                student.features[student_stage], teacher.features[teacher_stage]
            )
            for student_stage, teacher_stage in self.pairs
        }


def selectivity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the discrepancy of the channels of two maps, a scalar.

    Args:
        student: (B, C, H, W).
        teacher: (B, C', H', W').
    """
    maps = to_same_size(upcast(student), upcast(teacher))
    student, teacher = (values.flatten(2) for values in maps)
    scale, teacher_scale = inverse_lengths(student), inverse_lengths(teacher)
    batch, channels, positions = student.shape
    if 2 * positions**2 < channels * (channels + teacher.shape[1]):
        # The sum over pairs of channels of (a . b)^2 is the product of the Grams over positions.
        student_gram = student.mT @ (student * (scale.square() / channels))
        teacher_gram = teacher.mT @ (teacher * (teacher_scale.square() / teacher.shape[1]))
        return (student_gram - teacher_gram).square().sum() / batch
    # Scaling the Grams instead of the channels spares other arrays of their size.
    within = (student @ student.mT * scale * scale.mT).square().mean()
    constant = (teacher @ teacher.mT * teacher_scale * teacher_scale.mT).square().mean()
    across = (student @ teacher.mT * scale * teacher_scale.mT).square().mean()
    return within + constant - 2 * across


def inverse_lengths(channels: Tensor) -> Tensor:
    """Return one over the length of each channel's pattern, (B, C, H * W) -> (B, C, 1)."""
    lengths: Tensor = torch.linalg.vector_norm(channels, dim=2, keepdim=True)
    return lengths.clamp(min=_SHORTEST).reciprocal()
