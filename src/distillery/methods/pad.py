"""Prime-aware adaptive distillation (Zhang et al., ECCV 2020, arXiv:2008.01458)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Pretraining, Weights
from distillery.methods.parts.matching import Mismatch
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs


class PAD(Method):
    """Squared error of the embeddings, divided by a variance that the student predicts.

    ``mean_i mean_d (f_T - f_S)^2 / (eps + exp(v)) + v`` with ``v = BN(Linear(f_S))``, so that
    images which the student finds hard count less. It may be negative. The embeddings must have
    equal lengths: there is no projector. A first stage trains the student by cross-entropy and the
    plain squared error (``L2`` in torchdistill).

    Extra memory at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 0.3 MB kept for the
    backward pass, 0.7 MB at the peak.
    """

    title = "PAD-L2"
    paper = Paper("Zhang et al.", "ECCV", 2020, "2008.01458")
    kind = "feature"
    source = (
        "Zhang et al. 2020 as torchdistill has it: weights 1 and its two stages, there for ImageNet"
    )
    needs = frozenset({"embedding"})
    weights = Weights(ce=1.0, method=1.0)

    class Options(FrozenModel):
        """Hyperparameters of PAD."""

        epsilon: float = Field(default=1e-6, gt=0)
        """Added to the variance."""
        reduction: Literal["mean", "sum"] = "mean"
        """Over the images of a batch."""
        pretraining_epochs: int = Field(default=30, ge=0)
        """Length of the first stage; this project's choice for 240 epochs."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        dim = context.student.embedding_dim
        self.variance = nn.Sequential(nn.Linear(dim, dim), nn.BatchNorm1d(dim))

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks with embeddings of different lengths."""
        lengths = student.embedding_dim, teacher.embedding_dim
        if lengths[0] != lengths[1]:
            why = f"it needs embeddings of equal length, not {lengths[0]} and {lengths[1]}"
            raise Mismatch("pad", student, teacher, why)

    def pretraining(self) -> Pretraining:
        """Return the stage that trains the student by the plain error."""
        return Pretraining(epochs=self.options.pretraining_epochs, trains_student=True)

    def pretrain(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return cross-entropy and squared error of embeddings (B, D); logits are (B, C)."""
        return {
            "ce": F.cross_entropy(upcast(student.logits), batch.labels),
            "l2": F.mse_loss(upcast(student.embedding), upcast(teacher.embedding)),
        }

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``adaptive``. Embeddings have shape (B, D)."""
        embedding = upcast(student.embedding)
        log_variance = self.variance(embedding)
        error = (upcast(teacher.embedding) - embedding).square()
        weighted = error / (self.options.epsilon + log_variance.exp()) + log_variance
        images = weighted.mean(dim=1)
        return {"adaptive": images.mean() if self.options.reduction == "mean" else images.sum()}
