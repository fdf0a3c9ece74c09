"""Representative teacher keys (Yang, Kao and Huang 2022, arXiv:2206.12788): a reconstruction.

The full text was not at hand. Certain, from the abstract and the table of contents of Kao's thesis:
the method builds on attention-based feature distillation, has positional encodings, down-samples by
SoftPool, and selects at each step the k teacher layers that are distilled. All else, the options
and their defaults included, is this project's reading, and no published number belongs to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, StrictInt, model_validator
from torch import Tensor

from distillery.core.conditions import NotWith
from distillery.core.errors import UserError
from distillery.core.log_names import (
    ATTENTION,
    ENTROPY,
    FREQUENCY,
    LAYER_ENTROPY,
)
from distillery.methods.afd import AFD
from distillery.methods.base import Context, Paper, Weights
from distillery.methods.parts.attention import LayerAttention, Reading, entropy, read, thinned
from distillery.methods.parts.pooling import soft_pool_to
from distillery.models.base import ModelSpec
from distillery.models.resizing import pool_to

Count = Annotated[StrictInt, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Pool = Literal["average", "softpool"]
Reduce = Literal["max", "mean", "logsumexp"]
Scope = Literal["sample", "batch"]


class RTK(AFD):
    """AFD for the k most relevant teacher layers of each step: a reconstruction.

    Attention scores l[t, s], with learned positions, and distances d[t, s] of the spatial maps are
    those of AFD. The relevance of teacher layer t is its scores reduced over the student's layers;
    the k most relevant are selected, the others take no part in the step. The loss is the sum over
    the selected t of the batch mean of ``sum_s a[t, s] d[t, s]``, with the attention

    * ``orientation: teacher-query``: a softmax over the student's layers, as in AFD;
    * ``orientation: student-query``: a softmax over the teacher's layers, whose keys student layers
      ask for. With ``masking: renormalise`` it runs over the selected layers alone.

    The selection has no gradient: scores of layers that are not selected change only as far as they
    share parameters with others. With all layers, average pooling and teacher queries this is AFD,
    to the last bit. Where several processes share a batch, each selects for its own part of it.

    Logged: attention, its entropy in nats, and how often each teacher layer is selected.

    Extra memory: that of AFD.
    """

    title = "RTK"
    paper = Paper("Yang, Kao and Huang", "arXiv", 2022, "2206.12788")
    kind = "feature"
    source = "after Yang et al. 2022: a reconstruction; weights, dimension and schedule of AFD"
    weights = Weights(kd=0.9, method=200.0)

    class Options(AFD.Options):
        """Hyperparameters of RTK, all of them a reconstruction."""

        k: Count | Share | Literal["all"] = 0.5
        """How many teacher layers are distilled in a step: a number, a share of them below 1,
        rounded up, or `all`."""
        anneal: Annotated[float, NotWith("k", "all")] = Field(default=0.0, ge=0, le=1)
        """Share of the epochs over which the number falls linearly from all layers to k."""
        orientation: Literal["teacher-query", "student-query"] = "teacher-query"
        """Which network's layers ask, and which have the keys; the softmax is over the keys."""
        masking: Annotated[Literal["zero", "renormalise"], NotWith("k", "all")] = "zero"
        """Unselected teacher layers get no weight, or, with student queries, no part in the softmax
        either."""
        relevance: Annotated[Reduce, NotWith("k", "all")] = "max"
        """How the scores of a teacher layer become its relevance."""
        scope: Annotated[Scope, NotWith("k", "all")] = "batch"
        """Whether all samples of a batch share the selection, by mean relevance, or each has its
        own."""
        pool: Pool = "softpool"
        """How channels are pooled for queries and keys."""
        resize: Pool = "average"
        """How the student's spatial maps are pooled to the size of the teacher's."""

        @model_validator(mode="after")
        def _has_keys_to_mask(self) -> RTK.Options:
            if self.masking == "renormalise" and self.orientation == "teacher-query":
                raise ValueError("masking 'renormalise' needs orientation 'student-query'")
            return self

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.layers = len(thinned(context.teacher.block_shapes, options.max_layers))
        self.kept = layer_count(options.k, self.layers)
        self.annealed_until = options.anneal * context.epochs

    @classmethod
    def check(cls, options: AFD.Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks without known blocks, and a ``k`` above the number of layers.

        Raises:
            UserError: there are fewer layers.
        """
        super().check(options, student, teacher)
        assert isinstance(options, cls.Options)
        layers = len(thinned(teacher.block_shapes, options.max_layers))
        if layer_count(options.k, layers) > layers:
            raise UserError(
                f"rtk: options.k is {options.k}, but teacher {teacher.arch} has {layers} layers; "
                f"k may be 1 to {layers}, a share below 1, or 'all'"
            )

    def new_attention(self, student: Sequence[int], teacher: Sequence[int]) -> LayerAttention:
        """Return the trained part, for the numbers of channels of both networks' layers."""
        if self._teacher_asks:
            return super().new_attention(student, teacher)
        return LayerAttention(student, teacher, self.options.dim)

    def block_hook(self, block: Tensor) -> tuple[Tensor, ...]:
        """Return what the method reads of a block (B, c, h, w), while its network runs."""
        return read(block, self.options.pool)

    def attend(
        self, students: Sequence[Reading], teachers: Sequence[Reading], epoch: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weights (B, T, S) of the distances, and what is to be logged of them."""
        scores = self._scores(students, teachers)
        options = self.options
        selected = select_layers(scores, self._count(epoch), options.relevance, options.scope)
        left_out = ~selected[:, :, None]
        keys = 2 if self._teacher_asks else 1
        admitted = scores
        if options.masking == "renormalise":
            admitted = scores.masked_fill(left_out, -torch.inf)
        attention = admitted.softmax(dim=keys)
        weights = attention.masked_fill(left_out, 0)
        spread = entropy(attention, keys)
        # A teacher layer that is left out does not ask.
        asked = spread[selected] if self._teacher_asks else spread
        diagnostics = {
            FREQUENCY: selected.to(weights.dtype).mean(dim=0),
            ATTENTION: weights.detach().mean(dim=0),
            ENTROPY: asked.mean(),
            LAYER_ENTROPY: entropy(scores.softmax(dim=2), 2).mean(dim=0),
        }
        return weights, diagnostics

    def resize(self, maps: Tensor, height: int, width: int) -> Tensor:
        """Bring the student's maps (B, 1, h, w) to the size of the teacher's."""
        pool = soft_pool_to if self.options.resize == "softpool" else pool_to
        return pool(maps, height, width)

    @property
    def _teacher_asks(self) -> bool:
        return bool(self.options.orientation == "teacher-query")

    def _scores(self, students: Sequence[Reading], teachers: Sequence[Reading]) -> Tensor:
        """Return the scores (B, T, S) before any softmax."""
        student = [layer.description for layer in students]
        teacher = [layer.description for layer in teachers]
        scores: Tensor = (
            self.attention(teacher, student)
            if self._teacher_asks
            else self.attention(student, teacher).mT
        )
        return scores

    def _count(self, epoch: int) -> int:
        """Return how many teacher layers are kept in an epoch, counted from 0."""
        if epoch >= self.annealed_until:
            return self.kept
        return annealed_count(self.kept, self.layers, epoch / self.annealed_until)


def layer_count(k: int | float | Literal["all"], layers: int) -> int:
    """Return how many of the layers ``k`` means: a number, a share (rounded up), or all."""
    if k == "all":
        return layers
    # A share such as 0.1 of 30 is a trifle more than 3 in binary.
    return k if isinstance(k, int) else math.ceil(k * layers - 1e-9)


def annealed_count(count: int, layers: int, progress: float) -> int:
    """Return how many layers are kept when ``progress`` of the annealing, 0 to 1, is done.

    All of them at the beginning, ``count`` at the end, linearly in between and rounded up.
    """
    return count + math.ceil((layers - count) * (1 - progress) - 1e-9)


def select_layers(scores: Tensor, count: int, reduce: Reduce, scope: Scope) -> Tensor:
    """Tell which teacher layers have the ``count`` highest scores.

    Args:
        scores: (B, T, S), of each teacher layer for each student layer.
        count: number of layers to keep.
        reduce: how the scores of a layer become one.
        scope: whether each sample has layers of its own, or all share those of the highest mean.

    Returns:
        (B, T) bool with ``count`` true values a row.
    """
    relevance = _reduced(scores.detach(), reduce)
    if scope == "batch":
        relevance = relevance.mean(dim=0, keepdim=True).expand_as(relevance)
    best = relevance.topk(count, dim=1).indices
    return torch.zeros_like(relevance, dtype=torch.bool).scatter(1, best, True)


def _reduced(scores: Tensor, reduce: Reduce) -> Tensor:
    if reduce == "max":
        return scores.amax(dim=2)
    return scores.mean(dim=2) if reduce == "mean" else scores.logsumexp(dim=2)
