"""Distillation by singular value decomposition (Lee et al., ECCV 2018, arXiv:1807.06819)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Weights
from distillery.methods.parts.pairing import mismatch, pair_stages
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.right_singular import Leading, Solver, leading
from distillery.models.base import ModelSpec, Outputs

# The student offers this many vectors more than it has to match.
_SPARE = 3


class KDSVD(Method):
    """Compares how the leading singular vectors of stages that follow each other relate. FRAGILE.

    A map is a matrix of places by channels, of which the k leading right-singular vectors are
    taken. Each of the teacher's is matched with the student's most similar one of k + 3, with the
    sign of their cosine; both are scaled by the teacher's singular values, as unit rows. With
    ``R[c, c'] = exp(-(v_(l+1)[c] - v_l[c'])^2 / 8)``, the loss is ``sum (R_S - R_T)^2`` over
    channels and vectors, mean over the batch, summed over the pairs of stages behind the stem.
    Stages must have equally many channels in both networks.

    Fragile, because the sign of a singular vector is arbitrary and R depends on it, and because its
    gradient grows without bounds where singular values meet. ``gram`` fixes the signs, which
    settles the leading vector of maps after a ReLU; ``svd`` takes what LAPACK returns, as
    RepDistiller does (mdistiller reshapes to channels * rows by columns, another loss). Not in the
    CRD tables.

    Extra memory, at B = 64 for wrn_40_2 -> wrn_16_2 on 32 x 32: 12 MB kept for the backward
    pass, 17 MB at its peak.
    """

    title = "KDSVD"
    source = "Lee et al. 2018; k = 1 and weight 1 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=1.0)

    class Options(FrozenModel):
        """Hyperparameters of KDSVD."""

        vectors: int = Field(default=1, ge=1)
        """k, number of the teacher's singular vectors of each map."""
        solver: Solver = "gram"
        """Eigenvectors of Gram matrices with settled signs, or LAPACK's singular vectors."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.pairs = decomposable_stages(options, context.student, context.teacher)

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks whose paired stages differ in channels, or are fewer than two."""
        decomposable_stages(options, student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return a term for each two stages of the student. Maps have shape (B, C, H, W)."""
        terms = {}
        below: tuple[Tensor, Tensor] | None = None
        stage_below = 0
        for ours, theirs in self.pairs:
            vectors = self.matched(student.features[ours], teacher.features[theirs])
            if below is not None:
                gap = relation(vectors[0], below[0]) - relation(vectors[1], below[1])
                terms[f"stage{stage_below}-{ours}"] = gap.square().sum() / len(gap)
            below, stage_below = vectors, ours
        return terms

    def matched(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scaled vectors (B, C, k) of two maps, the student's in the teacher's order."""
        count = self.options.vectors
        theirs = self.decompose(teacher, count)
        ours = align(self.decompose(student, count + _SPARE).vectors, theirs.vectors)
        scale = F.normalize(theirs.values, dim=1)[:, None, :]
        return ours * scale, theirs.vectors * scale

    def decompose(self, maps: Tensor, count: int) -> Leading:
        """Return the leading vectors of maps as matrices of places by channels."""
        return leading(upcast(maps).flatten(2).mT, count, self.options.solver)


def decomposable_stages(
    options: KDSVD.Options, student: ModelSpec, teacher: ModelSpec
) -> tuple[tuple[int, int], ...]:
    """Return the pairs of stages.

    Raises:
        UserError: there are fewer than two, or the maps of one do not suit the method.
    """
    pairs = pair_stages("kdsvd", student, teacher)
    if len(pairs) < 2:
        raise mismatch("kdsvd", student, teacher, "it needs two pairs of stages behind the stem")
    for ours, theirs in pairs:
        shapes = student.feature_shapes[ours], teacher.feature_shapes[theirs]
        if shapes[0][0] != shapes[1][0]:
            why = f"it needs equally many channels, not {shapes[0][0]} and {shapes[1][0]}"
            raise mismatch("kdsvd", student, teacher, why)
        rank = min(min(c, h * w) for c, h, w in shapes)
        if options.vectors > rank:
            why = f"options.vectors is {options.vectors} (allowed: 1 to {rank}, the rank of a map)"
            raise mismatch("kdsvd", student, teacher, why)
    return pairs


def align(students: Tensor, teachers: Tensor) -> Tensor:
    """Return, for each teacher's vector, the student's most similar one with a matching sign.

    Args:
        students: (B, C, n) unit columns.
        teachers: (B, C, k) unit columns.

    Returns:
        (B, C, k).
    """
    cosine = students.detach().mT @ teachers
    best = cosine.abs().argmax(dim=1, keepdim=True)
    chosen = students.gather(2, best.expand(-1, students.shape[1], -1))
    return chosen * cosine.gather(1, best).sign()


def relation(upper: Tensor, lower: Tensor) -> Tensor:
    """Return the radial basis function between the entries of vectors of two stages.

    Args:
        upper: (B, C, k).
        lower: (B, C', k).

    Returns:
        (B, C, C', k).
    """
    return torch.exp((upper[:, :, None, :] - lower[:, None, :, :]).square() / -8)
