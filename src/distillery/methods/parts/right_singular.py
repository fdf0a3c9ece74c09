"""Leading right-singular vectors of a batch of matrices, with a gradient that stays finite."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

Solver = Literal["gram", "svd"]


class Leading(NamedTuple):
    """The leading singular values and right-singular vectors of matrices (B, N, C)."""

    values: Tensor
    """(B, k), without gradient."""
    vectors: Tensor
    """(B, C, k), unit columns."""


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
