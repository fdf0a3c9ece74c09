"""Flow of the solution procedure (Yim et al., CVPR 2017)."""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Pretraining, Weights
from distillery.methods.parts.matching import Mismatch, pair_stages, require_equal_channels
from distillery.methods.parts.pooling import to_same_size
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs


class FSP(Method):
    """Initialises the student by the inner products between stages that follow each other.

    The matrix of stages l and l+1 is ``G[c, c'] = mean_hw F_l[c, hw] * F_(l+1)[c', hw]``, the
    larger map average-pooled. The loss is the mean squared difference of the student's and the
    teacher's matrices, summed over the pairs of stages, the stem included; stages must have equally
    many channels in both networks. Pooling by average and squared means are those of RepDistiller;
    torchdistill pools by maximum and does not square.

    Two stages: the loss trains the student's maps alone for some epochs, with
    ``options.pretraining_weight``. The distillation proper has no term, and ``weights.method`` no
    effect: cross-entropy, and KD where ``weights.kd`` asks for it. RepDistiller's script names a
    weight of 50, which its code does not apply to this stage: there the weight is 1.

    Extra memory of the first stage, at B = 64 for wrn_40_2 -> wrn_16_2 on 32 x 32: 6 MB kept
    for the backward pass, 17 MB at its peak.
    """

    title = "FSP"
    paper = Paper("Yim et al.", "CVPR", 2017)
    kind = "relation"
    disagreement = (
        "RepDistiller's script names weight 50, which its code never multiplies by, torchdistill "
        "pools by maximum and does not square; mean pools, squares and 50, `pretraining_weight: "
        "1` for the code."
    )
    source = "Yim et al. 2017; 30 epochs of initialisation with weight 50 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=0.0)

    class Options(FrozenModel):
        """Hyperparameters of FSP."""

        pretraining_epochs: int = Field(default=30, ge=1)
        """Length of the initialisation."""
        pretraining_weight: float = Field(default=50.0, gt=0)
        """Weight of the loss in the initialisation: 50 in RepDistiller's script, 1 in its code."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.flows = flows(context.student, context.teacher)

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks whose paired stages differ in channels, or are fewer than two."""
        flows(student, teacher)

    def pretraining(self) -> Pretraining:
        """Return the initialisation of the student's maps."""
        return Pretraining(epochs=self.options.pretraining_epochs, trains_student=True)

    def pretrain(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return a weighted term for each flow between stages. Maps have shape (B, C, H, W)."""
        terms = {}
        for (lower, teacher_lower), (upper, teacher_upper) in self.flows:
            student_flow = flow_matrix(student.features[lower], student.features[upper])
            teacher_flow = flow_matrix(
                teacher.features[teacher_lower], teacher.features[teacher_upper]
            )
            loss = (student_flow - teacher_flow).square().mean()
            terms[f"flow{lower}-{upper}"] = self.options.pretraining_weight * loss
        return terms

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return no term: the method is over with its first stage."""
        return {}


def flows(
    student: ModelSpec, teacher: ModelSpec
) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Return the pairs of stages that follow each other.

    Raises:
        Mismatch: a pair differs in channels, or there is no flow.
    """
    pairs = pair_stages("fsp", student, teacher, first=0)
    require_equal_channels("fsp", student, teacher, pairs)
    if len(pairs) < 2:
        raise Mismatch("fsp", student, teacher, "it needs two pairs of stages")
    return tuple(pairwise(pairs))


def flow_matrix(lower: Tensor, upper: Tensor) -> Tensor:
    """Return the inner products of the channels of two maps, mean over the positions.

    Args:
        lower: (B, C, H, W).
        upper: (B, C', H', W').

    Returns:
        (B, C, C').
    """
    lower, upper = to_same_size(upcast(lower), upcast(upper))
    positions = lower.shape[2] * lower.shape[3]
    return lower.flatten(2) @ upper.flatten(2).mT / positions
