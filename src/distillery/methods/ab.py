"""Activation boundaries (Heo et al., AAAI 2019, arXiv:1811.03233)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Pretraining, Weights
from distillery.methods.parts.heads import Regressor, regressible
from distillery.methods.parts.matching import Mismatch, pair_stages
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs

# The authors divide their losses by 1000 and multiply them by 3.
_SCALE = 3 / 1000


class ActivationBoundary(Method):
    """Initialises the student so that its neurons are active where the teacher's are.

    For a student's value s and a teacher's value t before their ReLU, and a margin m:
    ``max(0, s + m)^2`` where t is not positive, ``max(0, m - s)^2`` where it is. Squares are summed
    over a map, averaged over the batch, halved for every stage above the last, and multiplied by
    the authors' 3/1000 (which torchdistill leaves out). Stages are those behind the stem
    (``parts.matching``). Where the shapes differ the student's maps pass a convolution and a
    BatchNorm, as in RepDistiller.

    Two stages: the loss trains the student's maps alone for some epochs, with
    ``options.pretraining_weight``. The distillation proper has no term, and ``weights.method`` no
    effect: cross-entropy, and KD where ``weights.kd`` asks for it.

    Extra memory of the first stage, at B = 64 for wrn_40_2 -> wrn_16_2 on 32 x 32: 18 MB kept
    for the backward pass, 27 MB at its peak.
    """

    title = "AB"
    paper = Paper("Heo et al.", "AAAI", 2019, "1811.03233")
    kind = "feature"
    disagreement = (
        "torchdistill leaves the factor 3/1000 out; with it, as the authors and RepDistiller."
    )
    source = "Heo et al. 2019; 30 epochs of initialisation with weight 1 from RepDistiller"
    needs = frozenset({"preactivations"})
    weights = Weights(method=0.0)

    class Options(FrozenModel):
        """Hyperparameters of AB."""

        margin: float = Field(default=1.0, ge=0)
        """m, how far a student's value should be on the teacher's side of zero."""
        pretraining_epochs: int = Field(default=30, ge=1)
        """Length of the initialisation."""
        pretraining_weight: float = Field(default=1.0, gt=0)
        """Weight of the loss in the initialisation."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.pairs = connected_stages(context.student, context.teacher)
        self.connectors = nn.ModuleList(
            connector(
                context.student.feature_shapes[student_stage],
                context.teacher.feature_shapes[teacher_stage],
            )
            for student_stage, teacher_stage in self.pairs
        )

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks without stage maps to pair, or whose maps no connector joins."""
        connected_stages(student, teacher)

    def pretraining(self) -> Pretraining:
        """Return the initialisation of the student's maps."""
        return Pretraining(epochs=self.options.pretraining_epochs, trains_student=True)

    def pretrain(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return a weighted term for each stage of the student. Maps have shape (B, C, H, W)."""
        terms = {}
        for index, ((student_stage, teacher_stage), connect) in enumerate(
            zip(self.pairs, self.connectors, strict=True)
        ):
            connected = upcast(connect(upcast(student.preactivations[student_stage])))
            target = upcast(teacher.preactivations[teacher_stage])
            share = self.options.pretraining_weight * _SCALE * 2.0 ** (index + 1 - len(self.pairs))
            terms[f"stage{student_stage}"] = share * boundary_loss(
                connected, target, self.options.margin
            )
        return terms

    def finish_pretraining(self) -> None:
        """Freeze the connectors, which nothing uses any more."""
        self.connectors.requires_grad_(False)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return no term: the method is over with its first stage."""
        return {}


def connected_stages(student: ModelSpec, teacher: ModelSpec) -> tuple[tuple[int, int], ...]:
    """Return the pairs of stages.

    Raises:
        Mismatch: there is none, or no connector joins the maps of one.
    """
    pairs = pair_stages("ab", student, teacher)
    for student_stage, teacher_stage in pairs:
        if not regressible(
            student.feature_shapes[student_stage], teacher.feature_shapes[teacher_stage]
        ):
            why = f"at stage {student_stage} the student's map is too small for a connector"
            raise Mismatch("ab", student, teacher, why)
    return pairs


def connector(student: tuple[int, int, int], teacher: tuple[int, int, int]) -> nn.Module:
    """Return what gives a student's map the teacher's shape: nothing where they are equal."""
    return nn.Identity() if student == teacher else Regressor(student, teacher, relu=False)


def boundary_loss(student: Tensor, teacher: Tensor, margin: float) -> Tensor:
    """Return the squared hinge of values (B, C, H, W) on the wrong side, mean over the batch."""
    towards = torch.where(teacher > 0, student, -student)
    return F.relu(margin - towards).square().sum() / len(student)
