"""Attention transfer (Zagoruyko & Komodakis, ICLR 2017, arXiv:1612.03928)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.matching import pair_stages
from distillery.methods.parts.pooling import activation_map, to_same_size
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs


class AttentionTransfer(Method):
    """Squared difference of the attention maps, mean over batch and positions, summed over stages.

    An attention map is ``mean_c |F|^p``, flattened and of unit length. The larger of two maps is
    average-pooled before the power. Stages are those behind the stem (``parts.matching``).

    The mean of squares is what the authors' code does. torchdistill's "paper" mode takes the length
    of the difference instead, which is hundreds of times larger.

    Extra memory, at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 1 MB kept for the backward
    pass, 17 MB at its peak.
    """

    title = "AT"
    paper = Paper("Zagoruyko & Komodakis", "ICLR", 2017, "1612.03928")
    kind = "feature"
    disagreement = (
        "torchdistill's `paper` mode takes lengths; mean squares, as the authors' code, "
        "RepDistiller and mdistiller."
    )
    source = "Zagoruyko & Komodakis 2017; p = 2 and weight 1000 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=1000.0)

    class Options(FrozenModel):
        """Hyperparameters of AT."""

        power: int = Field(default=2, ge=1)
        """p, the power to which activations are raised."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.pairs = pair_stages("at", context.student, context.teacher)

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks without stage maps to pair."""
        pair_stages("at", student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return a term for each stage of the student. Maps have shape (B, C, H, W)."""
        return {
            f"stage{student_stage}": attention_loss(
                student.features[student_stage], teacher.features[teacher_stage], self.options.power
            )
            for student_stage, teacher_stage in self.pairs
        }


def attention_loss(student: Tensor, teacher: Tensor, power: int) -> Tensor:
    """Return the mean squared difference of the attention maps of two networks, a scalar.

    Args:
        student: (B, C, H, W).
        teacher: (B, C', H', W'); one map's height and width should be multiples of the other's.
        power: p, to which activations are raised.
    """
    maps = to_same_size(upcast(student), upcast(teacher))
    if power % 2:
        maps = maps[0].abs(), maps[1].abs()
    student, teacher = (activation_map(values, power) for values in maps)
    return (student - teacher).square().mean()
