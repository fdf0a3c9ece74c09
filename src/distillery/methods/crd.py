"""Contrastive representation distillation (Tian et al., ICLR 2020, arXiv:1910.10699)."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.errors import UserError
from distillery.core.randomness import torch_generator
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Weights
from distillery.methods.parts.heads import SphereHead
from distillery.models.base import Outputs

# Keeps the logarithms of the NCE terms finite, as in the reference implementation.
_EPSILON = 1e-7


class CRD(Method):
    """NCE between each network's projection and the other network's memory bank.

    Extra memory: two banks of n * D floats (51 MB at n = 50,000, D = 128) and, at B = 64 and
    K = 16,384, about 60 MB of scores: a (B, n) product and its picked entries for each direction.
    No (B, K + 1, D) array is ever made.
    """

    title = "CRD"
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
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``student_anchor`` and ``teacher_anchor``. Embeddings are (B, D)."""
        index, keep = self.negatives.draw(batch)
        positive = batch.position
        if self.options.positives == "relax":
            positive = self.negatives.draw_same_class(batch)
        return self.contrast(
            self.student_head(student.embedding),
            self.teacher_head(teacher.embedding),
            batch.position,
            torch.cat([positive[:, None], index], dim=1),
            F.pad(keep, (1, 0), value=True),
        )

    def contrast(
        self, students: Tensor, teachers: Tensor, position: Tensor, index: Tensor, keep: Tensor
    ) -> dict[str, Tensor]:
        """Contrast projections with the banks.

        Args:
            students: (B, D) unit vectors.
            teachers: (B, D) unit vectors.
            position: (B,) bank rows of the batch, which ``after_step`` updates.
            index: (B, 1 + M) bank rows; column 0 is the positive.
            keep: (B, 1 + M) bool; the kept negatives of a row number K.
        """
        self._seen = (position, students.detach(), teachers.detach())
        terms = {}
        pairs = {
            "student_anchor": (students, self.teacher_bank),
            "teacher_anchor": (teachers, self.student_bank),
        }
        for side, (term, (anchors, bank)) in enumerate(pairs.items()):
            scores = torch.exp((anchors @ bank.T).gather(1, index) / self.options.temperature)
            normaliser = self._normaliser(side, scores.detach(), keep)
            terms[term] = nce_loss(scores / normaliser, keep, len(bank))
        return terms

    def _normaliser(self, side: int, scores: Tensor, keep: Tensor) -> Tensor:
        """Return Z of one side, which the scores of the very first batch fix for good."""
        estimate = (scores * keep).sum() / keep.sum() * len(self.student_bank)
        self.normaliser[side] = torch.where(
            self.normaliser[side] < 0, estimate, self.normaliser[side]
        )
        return self.normaliser[side].clone()

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


def nce_loss(scores: Tensor, keep: Tensor, population: int) -> Tensor:
    """Return the NCE loss of CRD against uniform noise, mean over the batch.

    Args:
        scores: (B, 1 + M) normalised scores; column 0 is the positive.
        keep: (B, 1 + M) bool, which negatives count; each row keeps the same number K.
        population: n, size of the noise distribution.
    """
    noise = (keep[0].sum() - 1) / population
    positive = torch.log(scores[:, 0] / (scores[:, 0] + noise + _EPSILON))
    negative = torch.log(noise / (scores[:, 1:] + noise + _EPSILON))
    negative = torch.where(keep[:, 1:], negative, 0.0)
    return -(positive.sum() + negative.sum()) / len(scores)


class NegativeSampler:
    """Draws, on the device and without a loop, K distinct images of other classes a sample.

    One random order of all images is drawn a step; each sample takes the first K images of other
    classes from a random start. So every set of K is equally likely for a sample.
    """

    def __init__(self, labels: Tensor, negatives: int, seed: int) -> None:
        self.labels = labels
        self.negatives = negatives
        self.seed = seed
        self.largest_class = int(labels.bincount().max())
        available = len(labels) - self.largest_class
        if negatives > available:
            raise UserError(
                f"options.negatives is {negatives}, but only {available} training images "
                f"are of other classes than the largest one (allowed: 1 to {available})"
            )

    def draw(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return candidate rows (B, M) and which to keep (B, M): exactly K in each row."""
        labels = self.labels = self.labels.to(batch.labels.device)
        random = torch_generator(self.seed, "crd-negatives", batch.step, device=labels.device)
        order = torch.randperm(len(labels), generator=random, device=labels.device)
        start = torch.randint(
            len(labels), (len(batch.labels), 1), generator=random, device=labels.device
        )
        width = min(self.negatives + self.largest_class, len(labels))
        offsets = torch.arange(width, device=labels.device)
        index = order[(start + offsets) % len(labels)]
        other_class = labels[index] != labels[batch.position][:, None]
        return index, other_class & (other_class.cumsum(dim=1) <= self.negatives)

    def draw_same_class(self, batch: Batch) -> Tensor:
        """Return, for each sample, a random row (B,) of its own class."""
        labels = self.labels = self.labels.to(batch.labels.device)
        random = torch_generator(self.seed, "crd-positives", batch.step, device=labels.device)
        by_class = labels.argsort(stable=True)
        counts = labels.bincount()
        offsets = counts.cumsum(dim=0) - counts
        draw = torch.rand(len(batch.labels), generator=random, device=labels.device)
        own = labels[batch.position]
        rank = (draw * counts[own]).long()
        return by_class[offsets[own] + rank]
