"""Distillation by singular value decomposition (Lee et al., ECCV 2018, arXiv:1807.06819)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.matching import Mismatch, pair_stages, require_equal_channels
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs

Solver = Literal["gram", "svd"]

# The student offers this many vectors more than it has to match.
_SPARE = 3


class Leading(NamedTuple):
    """The leading singular values and right-singular vectors of matrices (B, N, C)."""

    values: Tensor
    """(B, k), without gradient."""
    vectors: Tensor
    """(B, C, k), unit columns."""


class KDSVD(Method):
    """Compares how the leading singular vectors of stages that follow each other relate. FRAGILE.

    A map is a matrix of positions by channels, of which the k leading right-singular vectors are
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
    paper = Paper("Lee et al.", "ECCV", 2018, "1807.06819")
    kind = "relation"
    disagreement = "mdistiller reshapes maps to channels * rows by columns; as RepDistiller."
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
        for student_stage, teacher_stage in self.pairs:
            vectors = self.matched(student.features[student_stage], teacher.features[teacher_stage])
            if below is not None:
                gap = relation(vectors[0], below[0]) - relation(vectors[1], below[1])
                terms[f"stage{stage_below}-{student_stage}"] = gap.square().sum() / len(gap)
            below, stage_below = vectors, student_stage
        return terms

    def matched(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scaled vectors (B, C, k) of two maps (B, C, H, W), in the teacher's order."""
        count = self.options.vectors
        target = self.decompose(teacher, count)
        aligned = align(self.decompose(student, count + _SPARE).vectors, target.vectors)
        scale = F.normalize(target.values, dim=1)[:, None, :]
        return aligned * scale, target.vectors * scale

    def decompose(self, maps: Tensor, count: int) -> Leading:
        """Return the leading vectors of maps (B, C, H, W), as matrices (B, H * W, C)."""
        return leading(upcast(maps).flatten(2).mT, count, self.options.solver)


def decomposable_stages(
    options: KDSVD.Options, student: ModelSpec, teacher: ModelSpec
) -> tuple[tuple[int, int], ...]:
    """Return the pairs of stages.

    Raises:
        Mismatch: there are fewer than two, or the maps of one do not suit the method.
    """
    pairs = pair_stages("kdsvd", student, teacher)
    if len(pairs) < 2:
        raise Mismatch("kdsvd", student, teacher, "it needs two pairs of stages behind the stem")
    require_equal_channels("kdsvd", student, teacher, pairs)
    for student_stage, teacher_stage in pairs:
        shapes = student.feature_shapes[student_stage], teacher.feature_shapes[teacher_stage]
        rank = min(min(c, h * w) for c, h, w in shapes)
        if options.vectors > rank:
            why = f"options.vectors is {options.vectors} (allowed: 1 to {rank}, the rank of a map)"
            raise Mismatch("kdsvd", student, teacher, why)
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


def leading(matrices: Tensor, count: int, solver: Solver) -> Leading:
    """Return the ``count`` leading singular values and right-singular vectors, or all there are.

    Singular vectors are defined up to their sign. ``gram`` takes the eigenvectors of the smaller
    Gram matrix, which is quick for batches on a GPU, and signs them so that their entries do not
    sum to less than 0. ``svd`` takes the vectors of the LAPACK build as they come.

    The gradient of a vector is undefined where its singular value repeats. Parts of it whose
    denominators are lost in rounding are left out, so that it is finite for all matrices, those of
    reduced rank included.

    Args:
        matrices: (B, N, C), single or double precision.
        count: k.
        solver: how the vectors are computed.
    """
    values, vectors = _LeadingVectors.apply(matrices, count, solver)
    return Leading(values, vectors)


class _LeadingVectors(torch.autograd.Function):
    """The vectors as a function of the matrices X, differentiated as eigenvectors of X^T X."""

    @staticmethod
    def forward(ctx: Any, matrices: Tensor, count: int, solver: Solver) -> tuple[Tensor, Tensor]:
        if solver == "svd":
            _, values, rows = torch.linalg.svd(matrices, full_matrices=False)
            vectors = rows.mT
        else:
            values, vectors = _by_gram(matrices)
        leading_values = values[:, :count].contiguous()
        leading_vectors = vectors[:, :, :count].contiguous()
        ctx.mark_non_differentiable(leading_values)
        ctx.save_for_backward(matrices, values, vectors)
        return leading_values, leading_vectors

    @staticmethod
    def backward(ctx: Any, _: Tensor, gradient: Tensor) -> tuple[Tensor, None, None]:
        matrices, values, vectors = ctx.saved_tensors
        chosen = vectors[:, :, : gradient.shape[2]]
        eigenvalues = values.square()
        chosen_eigenvalues = eigenvalues[:, None, : gradient.shape[2]]
        smallest = _resolution(eigenvalues)[:, None, None]
        # A change of X^T X turns a vector towards another by its share over their eigenvalues' gap;
        # the eigenvectors that a thin decomposition leaves out all have the eigenvalue 0.
        shares = vectors.mT @ gradient
        gaps = chosen_eigenvalues - eigenvalues[:, :, None]
        turn = vectors @ (shares * _inverse(gaps, smallest))
        turn = turn + (gradient - vectors @ shares) * _inverse(chosen_eigenvalues, smallest)
        return (matrices @ turn) @ chosen.mT + (matrices @ chosen) @ turn.mT, None, None


def _by_gram(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return all singular values and right-singular vectors, the largest first."""
    wide = matrices.shape[1] < matrices.shape[2]
    gram = matrices @ matrices.mT if wide else matrices.mT @ matrices
    eigenvalues, vectors = torch.linalg.eigh(gram)
    eigenvalues, vectors = eigenvalues.flip(1).clamp(min=0), vectors.flip(2)
    values = eigenvalues.sqrt()
    if wide:
        # From left- to right-singular vectors; those of lost singular values are left out as 0.
        lost = eigenvalues <= _resolution(eigenvalues)[:, None]
        inverse = values.masked_fill(lost, 1.0).reciprocal().masked_fill(lost, 0.0)
        vectors = matrices.mT @ vectors * inverse[:, None, :]
    sign = torch.where(vectors.sum(dim=1, keepdim=True) < 0, -1.0, 1.0).to(vectors)
    return values, vectors * sign


def _resolution(eigenvalues: Tensor) -> Tensor:
    """Return which differences of eigenvalues (B, r) are rounding errors: (B,)."""
    return 10 * torch.finfo(eigenvalues.dtype).eps * eigenvalues[:, 0]


def _inverse(gaps: Tensor, smallest: Tensor) -> Tensor:
    """Return ``1 / gaps``, and 0 where a gap is not larger than ``smallest``."""
    lost = gaps.abs() <= smallest
    return gaps.masked_fill(lost, 1.0).reciprocal().masked_fill(lost, 0.0)
