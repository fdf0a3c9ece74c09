"""Attention-based feature distillation (Ji et al., AAAI 2021, arXiv:2102.02973)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.methods.base import Batch, Context, Method, Weights
from distillery.methods.parts.layer_attention import LayerAttention
from distillery.methods.parts.pairing import mismatch
from distillery.methods.parts.pooling import pool_to
from distillery.methods.parts.precision import at_least_single
from distillery.models.base import ModelSpec, Outputs
from distillery.schema import Settings

_Layer = TypeVar("_Layer")


class AFD(Method):
    """Every teacher layer is matched with all student layers, weighted by a learned attention.

    The layers are the outputs of the residual blocks. For teacher layer t and student layer s, the
    teacher's channel means query the student's (``parts.layer_attention``), and a softmax over the
    student layers gives weights a[t, s] for each sample. The distance d[t, s] is the mean squared
    difference of the two spatial maps "mean over channels of the squares", the student's
    average-pooled to the teacher's size, each divided by its L2 norm. The loss is the sum over t of
    the batch mean of ``sum_s a[t, s] d[t, s]``.

    Of a network with more than ``max_layers`` blocks, every second (third, ...) is taken, ending
    with the last: 27 of resnet110. A batch needs two samples, for BatchNorm.

    Extra memory: 57 MB at B = 64 for resnet56 -> resnet20 on 32 x 32, with the backward pass and
    the gradients of the student's maps, and the outputs of the teacher's blocks, 66 MB. Those of
    the student's blocks are kept for its own backward pass anyway.
    """

    title = "AFD"
    source = "Ji et al. 2021; weights 200 + 0.9 KD and dimension 128 from the authors' code"
    needs = frozenset({"blocks"})
    weights = Weights(kd=0.9, method=200.0)

    class Options(Settings):
        """Hyperparameters of AFD."""

        dim: int = Field(default=128, ge=1)
        """Dimension of queries and keys."""
        max_layers: int = Field(default=27, ge=1)
        """Deeper networks are thinned evenly to at most this many layers."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        student, teacher = (
            [shape[0] for shape in thinned(spec.block_shapes, options.max_layers)]
            for spec in (context.student, context.teacher)
        )
        self.attention = LayerAttention(teacher, student, options.dim)

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks whose family does not tell its blocks."""
        for spec in (student, teacher):
            if not spec.block_shapes:
                why = f"it reads the outputs of all blocks, which {spec.arch} does not record"
                raise mismatch("afd", student, teacher, why)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``attention``. Blocks have shapes (B, c, h, w)."""
        limit = self.options.max_layers
        students = thinned(student.blocks, limit)
        teachers = [block.detach() for block in thinned(teacher.blocks, limit)]
        return {"attention": self.layer_losses(students, teachers).sum()}

    def layer_losses(self, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
        """Return the loss of each teacher layer, (T,), for layers (B, c, h, w) of both networks."""
        students = [at_least_single(block) for block in students]
        teachers = [at_least_single(block) for block in teachers]
        scores = self.attention(
            [block.mean((2, 3)) for block in teachers], [block.mean((2, 3)) for block in students]
        )
        distances = _distances(
            [_energy(block) for block in students], [_energy(block) for block in teachers]
        )
        return (scores.softmax(dim=2) * distances).sum(dim=2).mean(dim=0)


def thinned(layers: Sequence[_Layer], limit: int) -> Sequence[_Layer]:
    """Return every n-th layer, ending with the last, with the least n that keeps to ``limit``."""
    step = max(math.ceil(len(layers) / limit), 1)
    return layers[(len(layers) - 1) % step :: step]


def _energy(block: Tensor) -> Tensor:
    """Return the mean over channels of the squares of maps (B, c, h, w), (B, 1, h, w)."""
    return block.square().mean(dim=1, keepdim=True)


def _distances(students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
    """Return the mean squared differences (B, T, S) of normalised spatial maps (B, 1, h, w)."""
    pooled: dict[tuple[int, int], Tensor] = {}
    distances = []
    for teacher in teachers:
        size = (teacher.shape[2], teacher.shape[3])
        if size not in pooled:
            maps = [_unit(pool_to(student, *size)) for student in students]
            pooled[size] = torch.stack(maps, dim=1)
        distances.append((pooled[size] - _unit(teacher)[:, None]).square().mean(dim=2))
    return torch.stack(distances, dim=1)


def _unit(maps: Tensor) -> Tensor:
    """Flatten maps (B, 1, h, w) and divide them by their L2 norms."""
    return F.normalize(maps.flatten(1), dim=1)
