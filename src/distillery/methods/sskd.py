"""Self-supervised knowledge distillation (Xu et al., ECCV 2020, arXiv:2006.07114)."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.conditions import NotWith
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Pretraining, Weights
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.similarity import row_divergence
from distillery.models.base import Outputs


class SSKD(Method):
    """Distils what the teacher says of rotated images, and which image it takes them for.

    Both networks see each image upright and turned by 90, 180 and 270 degrees. The objective is
    ``0.1 CE + 0.9 KD`` of the upright views, and this method's two terms:

    * ``transformed`` (weight 2.7): KD at T = 4 on the turned views;
    * ``self_supervised`` (weight 10): the same divergence, at T = 0.5, of the distributions over
      the batch's upright images that the cosine similarities of a turned view give. They are taken
      between the outputs of a two-layer head on each embedding.

    Each divergence is the mean over the rows that the teacher gets right, and a fraction (1 and
    0.75) of its wrong ones, those with the best rank of the true class or image; of equal ranks the
    earlier rows count, so that the loss depends on the order of the batch. Before, the teacher's
    head alone is trained for 60 epochs to find the upright image of each turned view (cross-entropy
    of the cosine similarities, without temperature).

    The authors crop but do not flip the training images.

    Extra memory: the networks run on 4 B images. The loss itself takes 16 MB at B = 64 for
    ResNet50 -> MobileNetV2, of which 13 MB are gradients of the student's head.
    """

    title = "SSKD"
    paper = Paper("Xu et al.", "ECCV", 2020, "2006.07114")
    kind = "contrastive"
    source = "Xu et al. 2020; weights, temperatures, fractions and schedule from the authors' code"
    needs = frozenset({"logits", "embedding"})
    weights = Weights(ce=0.1, kd=0.9, method=1.0)
    couples_batch = True
    n_views = 4

    class Options(FrozenModel):
        """Hyperparameters of SSKD."""

        transformed_weight: float = Field(default=2.7, ge=0)
        """Weight of the distillation on turned views."""
        transformed_temperature: Annotated[float, NotWith("transformed_weight", 0)] = Field(
            default=4.0, gt=0
        )
        """Softens the logits of turned views."""
        transformed_fraction: Annotated[float, NotWith("transformed_weight", 0)] = Field(
            default=1.0, ge=0, le=1
        )
        """Share of the turned views that the teacher misclassifies to learn from."""
        self_supervised_weight: float = Field(default=10.0, ge=0)
        """Weight of the distillation of similarities."""
        self_supervised_temperature: Annotated[float, NotWith("self_supervised_weight", 0)] = Field(
            default=0.5, gt=0
        )
        """Softens the similarities."""
        self_supervised_fraction: Annotated[float, NotWith("self_supervised_weight", 0)] = Field(
            default=0.75, ge=0, le=1
        )
        """Share of the turned views that the teacher takes for another image to learn from."""
        head_epochs: int = Field(default=60, ge=1)
        """Length of the training of the teacher's head."""
        head_lr: float = Field(default=0.05, gt=0)
        """Initial learning rate of that training."""
        head_milestones: tuple[int, ...] = (30, 45)
        """Epochs of that training after which the learning rate is divided by ten."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.student_head = _head(context.student.embedding_dim)
        self.teacher_head = _head(context.teacher.embedding_dim)

    def make_views(self, images: Tensor, batch: Batch) -> Tensor:
        """Return each image upright and turned by 90, 180 and 270 degrees, (4 B, C, H, H)."""
        views = [images.rot90(quarters, (2, 3)) for quarters in range(self.n_views)]
        return torch.stack(views, dim=1).flatten(0, 1)

    def pretraining(self) -> Pretraining:
        """Return the training of the teacher's head."""
        return Pretraining(
            epochs=self.options.head_epochs,
            trains_student=False,
            lr=self.options.head_lr,
            milestones=self.options.head_milestones,
        )

    def pretrain(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``recognition`` of the teacher's head. Embeddings have shape (4 B, D)."""
        similarities = cosine_similarities(self.teacher_head(upcast(teacher.embedding.detach())))
        return {"recognition": F.cross_entropy(similarities, own_image(similarities))}

    def finish_pretraining(self) -> None:
        """Freeze the teacher's head."""
        self.teacher_head.requires_grad_(False)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``transformed`` and ``self_supervised``.

        Logits have shape (4 B, C), embeddings (4 B, D), labels (B,).
        """
        with torch.no_grad():
            represented = self.teacher_head(upcast(teacher.embedding))
        transformed = self.transformed(student.logits, teacher.logits.detach(), batch.labels)
        self_supervised = self.self_supervised(
            self.student_head(upcast(student.embedding)), represented
        )
        return {
            "transformed": self.options.transformed_weight * transformed,
            "self_supervised": self.options.self_supervised_weight * self_supervised,
        }

    def transformed(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """Return the distillation loss of the turned views for logits (4 B, C), labels (B,)."""
        student, teacher = (upcast(turned(rows)) for rows in (student, teacher))
        labels = labels.repeat_interleave(self.n_views - 1)
        keep = trusted(teacher, labels, self.options.transformed_fraction)
        divergence = row_divergence(student, teacher, self.options.transformed_temperature)
        return mean_of_kept(divergence, keep)

    def self_supervised(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the distillation loss of the similarities of representations (4 B, D)."""
        student, teacher = cosine_similarities(student), cosine_similarities(teacher)
        keep = trusted(teacher, own_image(teacher), self.options.self_supervised_fraction)
        divergence = row_divergence(student, teacher, self.options.self_supervised_temperature)
        return mean_of_kept(divergence, keep)


def turned(rows: Tensor) -> Tensor:
    """Return the rows of the turned views, (4 B, N) -> (3 B, N)."""
    return rows.view(-1, SSKD.n_views, rows.shape[1])[:, 1:].flatten(0, 1)


def cosine_similarities(represented: Tensor) -> Tensor:
    """Return the cosine similarities (3 B, B) of turned views to the batch's upright images."""
    unit = F.normalize(upcast(represented), dim=1)
    return turned(unit) @ unit[:: SSKD.n_views].T


def own_image(similarities: Tensor) -> Tensor:
    """Return, for each turned view (3 B,), the number of its image in the batch."""
    images = torch.arange(similarities.shape[1], device=similarities.device)
    return images.repeat_interleave(SSKD.n_views - 1)


def trusted(scores: Tensor, labels: Tensor, fraction: float) -> Tensor:
    """Return which rows to keep: all that are right, and a fraction of those that are wrong.

    The rank of a row is the number of scores above that of its label; a row of rank 0 is right. Of
    the W wrong ones, the int(fraction * W) with the smallest ranks are kept, earlier rows first.

    Args:
        scores: (N, C), the teacher's.
        labels: (N,) int64.
        fraction: share of the wrong rows, 0 to 1.

    Returns:
        (N,) bool.
    """
    ranks = (scores > scores.gather(1, labels[:, None])).sum(dim=1)
    wrong = (ranks > 0).sum()
    # In double precision, as Python rounds: 0.7 * 30 is just below 21 in single precision.
    kept = len(ranks) - wrong + (fraction * wrong.double()).floor().long()
    order = torch.empty_like(ranks)
    order[ranks.argsort(stable=True)] = torch.arange(len(ranks), device=ranks.device)
    return order < kept


def mean_of_kept(values: Tensor, keep: Tensor) -> Tensor:
    """Return the mean of the kept entries of (N,) values; 0 if none is kept."""
    return torch.where(keep, values, 0.0).sum() / keep.sum().clamp_min(1)


def _head(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(inplace=True), nn.Linear(dim, dim))
