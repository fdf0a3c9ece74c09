"""Attention-based feature distillation (Ji et al., AAAI 2021, arXiv:2102.02973)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.log_names import ATTENTION, ENTROPY, LAYER_ENTROPY
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Losses, Method, Paper, Weights
from distillery.methods.parts.attention import (
    LayerAttention,
    Reading,
    detached,
    entropy,
    pair_up,
    read,
    thinned,
)
from distillery.methods.parts.matching import Mismatch
from distillery.models.base import ModelSpec, Outputs
from distillery.models.resizing import pool_to

Resize = Callable[[Tensor, int, int], Tensor]


class AFD(Method):
    """Every teacher layer is matched with all student layers, weighted by a learned attention.

    The layers are the outputs of the residual blocks. For teacher layer t and student layer s, the
    teacher's channel means query the student's (``parts.attention``), and a softmax over the
    student layers gives weights a[t, s] for each sample. The distance d[t, s] is the mean squared
    difference of the two spatial maps "mean over channels of the squares", the student's
    average-pooled to the teacher's size, each divided by its L2 norm. The loss is the sum over t of
    the batch mean of ``sum_s a[t, s] d[t, s]``.

    Of a network with more than ``max_layers`` blocks, every second (third, ...) is taken, ending
    with the last: 27 of resnet110. A batch needs two samples, for BatchNorm.

    Logged: the attention, and its entropy in nats.

    Extra memory at B = 64 for resnet56 -> resnet20 on 32 x 32: 20 MB at its peak, in the backward
    pass, besides 5 MB that are read of the blocks.
    """

    title = "AFD"
    paper = Paper("Ji et al.", "AAAI", 2021, "2102.02973")
    kind = "feature"
    source = "Ji et al. 2021; weights 200 + 0.9 KD and dimension 128 from the authors' code"
    needs = frozenset({"blocks"})
    weights = Weights(kd=0.9, method=200.0)
    section = "attention"

    class Options(FrozenModel):
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
        self.attention = self.new_attention(student, teacher)

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks whose family does not tell its blocks.

        Raises:
            Mismatch: one of the two has none.
        """
        for spec in (student, teacher):
            if not spec.block_shapes:
                why = f"it reads the outputs of all blocks, which {spec.arch} does not record"
                raise Mismatch(cls.title.lower(), student, teacher, why)

    def new_attention(self, student: Sequence[int], teacher: Sequence[int]) -> LayerAttention:
        """Return the trained part, for the numbers of channels of both networks' layers."""
        return LayerAttention(teacher, student, self.options.dim)

    def block_hook(self, block: Tensor) -> tuple[Tensor, ...]:
        """Return what the method reads of a block (B, c, h, w), while its network runs."""
        return read(block)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``attention``. Blocks are (B, c, h, w), or what ``block_hook`` keeps."""
        return self.losses(student, teacher, batch).terms

    def losses(self, student: Outputs, teacher: Outputs, batch: Batch) -> Losses:
        """Return the term ``attention``, and where the attention goes."""
        losses, diagnostics = self.layer_losses(student.blocks, teacher.blocks, batch.epoch)
        return Losses({"attention": losses.sum()}, diagnostics)

    def layer_losses(
        self, students: Sequence[Tensor], teachers: Sequence[Tensor], epoch: int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of each teacher layer (T,), and the diagnostics.

        Args:
            students: (B, c, h, w) of each block of the student, or what ``block_hook`` keeps.
            teachers: those of the teacher.
            epoch: number of the epoch, from 0.
        """
        student, teacher = self._layers(students), detached(self._layers(teachers))
        distances = layer_distances(
            [layer.energy for layer in student], [layer.energy for layer in teacher], self.resize
        )
        weights, diagnostics = self.attend(student, teacher, epoch)
        return (weights * distances).sum(dim=2).mean(dim=0), diagnostics

    def attend(
        self, students: Sequence[Reading], teachers: Sequence[Reading], epoch: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weights (B, T, S) of the distances, and what is to be logged of them."""
        scores = self.attention(
            [layer.description for layer in teachers], [layer.description for layer in students]
        )
        weights: Tensor = scores.softmax(dim=2)
        of_layers = entropy(weights, 2).mean(dim=0)
        diagnostics = {
            ATTENTION: weights.detach().mean(dim=0),
            ENTROPY: of_layers.mean(),
            LAYER_ENTROPY: of_layers,
        }
        return weights, diagnostics

    def resize(self, maps: Tensor, height: int, width: int) -> Tensor:
        """Bring the student's maps (B, 1, h, w) to the size of the teacher's."""
        return pool_to(maps, height, width)

    def _layers(self, blocks: Sequence[Tensor]) -> Sequence[Reading]:
        """Return the readings of the layers that take part."""
        is_read = all(block.dim() < 4 for block in blocks)
        parts = blocks if is_read else [part for block in blocks for part in self.block_hook(block)]
        return thinned(pair_up(parts), self.options.max_layers)


def layer_distances(
    students: Sequence[Tensor], teachers: Sequence[Tensor], resize: Resize
) -> Tensor:
    """Return the mean squared difference of each teacher's and each student's map.

    The student's maps are brought to the size of the teacher's first; then each map is divided by
    its L2 norm. Differences are expanded into inner products, so that the largest arrays are the
    students' maps at each size of a teacher's.

    Args:
        students: S maps (B, h, w) of any sizes.
        teachers: T maps (B, h, w) likewise.
        resize: brings maps (B, S, h, w) to a height and width.

    Returns:
        (B, T, S).
    """
    rows: list[Tensor] = []
    for size, group in _by_size(teachers).items():
        targets = _unit(torch.stack([teachers[index] for index in group], dim=1))
        maps = _unit(_resized(students, size, resize))
        squares = targets.square().sum(2)[:, :, None] + maps.square().sum(2)[:, None]
        rows.append((squares - 2 * targets @ maps.mT) / maps.shape[2])
    order = [index for group in _by_size(teachers).values() for index in group]
    indices = torch.tensor(order, device=rows[0].device).argsort()
    return torch.cat(rows, dim=1).index_select(1, indices)


def _by_size(maps: Sequence[Tensor]) -> dict[tuple[int, int], list[int]]:
    """Return the indices of the maps (B, h, w) of each height and width."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, each in enumerate(maps):
        groups.setdefault((each.shape[1], each.shape[2]), []).append(index)
    return groups


def _resized(maps: Sequence[Tensor], size: tuple[int, int], resize: Resize) -> Tensor:
    """Return the maps (B, h, w), of several sizes, as one array (B, S, *size)."""
    return torch.cat([resize(each[:, None], *size) for each in maps], dim=1)


def _unit(maps: Tensor) -> Tensor:
    """Flatten maps (B, N, h, w) to (B, N, h * w) of unit length; zeros stay zeros."""
    return F.normalize(maps.flatten(2), dim=2)
