"""Contrastive representation distillation (Tian et al., ICLR 2020, arXiv:1910.10699)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.errors import UserError
from distillery.core.randomness import torch_generator
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.heads import SphereHead
from distillery.methods.parts.nce import Block, Scores, mean_exponential, nce_loss, scores_of
from distillery.models.base import Outputs

# Rows of the bank that are contrasted at a time on a CPU: as many as its caches hold. Other devices
# take all at once, since they wait for nothing but the number of operations.
_BLOCK = 2048


class CRD(Method):
    """NCE between each network's projection and the other network's memory bank.

    Extra memory: two banks of n * D floats (51 MB at n = 50,000, D = 128). Scores exist for a block
    of rows at a time; neither a (B, n) nor a (B, K + 1, D) array is ever held on a CPU.
    """

    title = "CRD"
    paper = Paper("Tian et al.", "ICLR", 2020, "1910.10699")
    kind = "contrastive"
    source = "Tian et al. 2020; K, temperature, momentum and weight from RepDistiller"
    needs = frozenset({"embedding"})
    weights = Weights(method=0.8)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of CRD."""

        dim: int = Field(default=128, ge=2)
        """Dimension of the heads and the memory banks."""
        negatives: int = Field(default=16384, ge=1)
        """K, the number of negatives of each sample."""
        negatives_from: Literal["other-class", "all"] = "other-class"
        """Whether negatives are of other classes, or any other images, as without labels."""
        temperature: float = Field(default=0.07, gt=0)
        """Divides the cosine similarities (0.07 in the reference code)."""
        momentum: float = Field(default=0.5, ge=0, lt=1)
        """Share of the old entry when a bank is updated."""
        positives: Literal["exact", "relax"] = "exact"
        """The same image, or a random image of the same class."""

    student_bank: Tensor
    teacher_bank: Tensor
    normaliser: Tensor

    @classmethod
    def limits(cls, options: Options, per_class: Sequence[int]) -> dict[str, int]:
        """Each sample has as many negatives as there are images that may be one of the largest."""
        same = max(per_class) if options.negatives_from == "other-class" else 1
        return {"negatives": sum(per_class) - same}

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.student_head = SphereHead(context.student.embedding_dim, options.dim)
        self.teacher_head = SphereHead(context.teacher.embedding_dim, options.dim)
        is_labelled = options.negatives_from == "other-class"
        # Without labels every image is a class of its own.
        classes = context.labels if is_labelled else torch.arange(len(context.labels))
        self.negatives = NegativeSampler(classes, options.negatives, context.seed)
        shape = (len(context.labels), options.dim)
        bound = 1 / math.sqrt(options.dim / 3)
        for name in ("student_bank", "teacher_bank"):
            draw = torch_generator(context.seed, name)
            bank = torch.rand(shape, generator=draw) * (2 * bound) - bound
            self.register_buffer(name, bank)
        # Z of the student's and of the teacher's scores, set by the first batch.
        self.register_buffer("normaliser", torch.full((2,), -1.0))
        self._is_normalised = False
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``student_anchor`` and ``teacher_anchor``. Embeddings are (B, D)."""
        positives = batch.position
        if self.options.positives == "relax":
            positives = self.negatives.draw_same_class(batch)
        return self.contrast(
            self.student_head(student.embedding),
            self.teacher_head(teacher.embedding),
            batch.position,
            positives,
            self.negatives.draw(batch),
        )

    def contrast(
        self,
        students: Tensor,
        teachers: Tensor,
        position: Tensor,
        positives: Tensor,
        negatives: Sequence[Block],
    ) -> dict[str, Tensor]:
        """Contrast projections with the banks.

        Args:
            students: (B, D) unit vectors.
            teachers: (B, D) unit vectors.
            position: (B,) bank rows of the batch, which ``after_step`` updates.
            positives: (B,) bank rows of the positives.
            negatives: bank rows of the negatives, K of each anchor in all blocks together.
        """
        self._seen = (position, students.detach(), teachers.detach())
        count, temperature = self.options.negatives, self.options.temperature
        sides = {
            "student_anchor": scores_of(students, self.teacher_bank, positives, temperature),
            "teacher_anchor": scores_of(teachers, self.student_bank, positives, temperature),
        }
        if not self._is_normalised:
            self._normalise(sides.values(), negatives)
        # A copy, so that nothing that loads a state changes what backward needs.
        constants = self.normaliser.clone()
        return {
            term: nce_loss(scores, negatives, count, constant)
            for (term, scores), constant in zip(sides.items(), constants, strict=True)
        }

    def _normalise(self, sides: Iterable[Scores], negatives: Sequence[Block]) -> None:
        """Let the scores of the very first batch fix Z of both sides for good."""
        # Asked once and remembered, since the answer waits for the device.
        if (self.normaliser < 0).all():
            means = [mean_exponential(each, negatives, self.options.negatives) for each in sides]
            self.normaliser.copy_(torch.stack(means) * len(self.student_bank))
        self._is_normalised = True

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the banks' rows of the last batch towards its projections, on the unit sphere."""
        if self._seen is None:
            return
        position, students, teachers = self._seen
        momentum = self.options.momentum
        for bank, fresh in ((self.student_bank, students), (self.teacher_bank, teachers)):
            bank[position] = F.normalize(momentum * bank[position] + (1 - momentum) * fresh, dim=1)
        self._seen = None


class Windows(NamedTuple):
    """Which part of a random order of all images each sample takes its negatives from.

    Two windows with random places share as many images, on average, as two independent draws do.
    """

    start: Tensor
    """(B,) int64, its first place."""
    end: Tensor
    """(B,) int64, the place after its last one; it may lie beyond the n places of the order."""
    own: Tensor
    """(B,) int64, the class that it passes over."""


class NegativeSampler:
    """Draws, on the device, K distinct images of other classes a sample.

    One random order of all images is drawn a step; each sample takes the first K images of other
    classes from a random place of it. So every set of K is equally likely for a sample, and samples
    share the rows of a block of that order.
    """

    def __init__(self, labels: Tensor, negatives: int, seed: int) -> None:
        self.labels = labels
        self.negatives = negatives
        self.seed = seed
        self.counts = labels.bincount()
        self.largest_class = int(self.counts.max())
        available = len(labels) - self.largest_class
        if negatives > available:
            raise UserError(
                f"options.negatives is {negatives}, but only {available} training images "
                f"are of other classes than the largest one (allowed: 1 to {available})"
            )
        # Rows of the images of each class (C, largest), the last ones repeated in smaller classes.
        rank = torch.arange(self.largest_class).minimum((self.counts - 1).clamp_min(0)[:, None])
        first = self.counts.cumsum(dim=0) - self.counts
        by_class = labels.argsort(stable=True)
        self.members = by_class[(first[:, None] + rank).clamp_max(len(labels) - 1)]

    def draw(self, batch: Batch) -> list[Block]:
        """Return the negatives of a batch: exactly K of each sample in all blocks together."""
        self._to(batch.labels.device)
        labels, device = self.labels, self.labels.device
        random = torch_generator(self.seed, "crd-negatives", batch.step, device=device)
        order = torch.randperm(len(labels), generator=random, device=device)
        own = labels[batch.position]
        start = torch.randint(len(labels), own.shape, generator=random, device=device)
        windows = Windows(start, self._ends(order, start, own), own)
        places = torch.arange(len(order), device=device)
        size = _BLOCK if device.type == "cpu" else len(order)
        return [
            block
            for rows, at in zip(torch.split(order, size), torch.split(places, size), strict=True)
            if len((block := self._block(rows, at, windows)).anchors)
        ]

    def _ends(self, order: Tensor, start: Tensor, own: Tensor) -> Tensor:
        """Return the places (B,) of the order before which each sample has its K negatives.

        Args:
            order: (n,) int64, the images.
            start: (B,) int64, where the samples begin.
            own: (B,) int64, their classes.
        """
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        offset = (place[self.members[own]] - start[:, None]) % len(order)
        rank = torch.arange(self.largest_class, device=order.device)
        is_repeated = rank >= self.counts[own][:, None]
        offset = offset.masked_fill(is_repeated, 2 * len(order)).sort(dim=1).values
        # Of its own class it passes over those that fewer than K others precede.
        return start + self.negatives + (offset - rank < self.negatives).sum(dim=1)

    def _block(self, rows: Tensor, places: Tensor, windows: Windows) -> Block:
        """Return what samples take of the images ``rows`` (R,) at ``places`` (R,) of the order."""
        anchors = torch.arange(len(windows.own), device=rows.device)
        # A window that passes the end of the order goes on at its beginning.
        total, first, last = len(self.labels), places[0], places[-1]
        if rows.device.type == "cpu":
            reaches = (windows.start <= last) & (windows.end > first)
            anchors = anchors[reaches | (windows.end - total > first)]
        start, end, own = (column[anchors, None] for column in windows)
        is_within = (places >= start) & (places < end) | (places < end - total)
        return Block(rows, anchors, (is_within & (self.labels[rows] != own)).float())

    def draw_same_class(self, batch: Batch) -> Tensor:
        """Return, for each sample, a random row (B,) of its own class."""
        self._to(batch.labels.device)
        device = self.labels.device
        random = torch_generator(self.seed, "crd-positives", batch.step, device=device)
        draw = torch.rand(len(batch.labels), generator=random, device=device)
        own = self.labels[batch.position]
        return self.members[own, (draw * self.counts[own]).long()]

    def _to(self, device: torch.device) -> None:
        self.labels, self.counts = self.labels.to(device), self.counts.to(device)
        self.members = self.members.to(device)
