"""Decoupled knowledge distillation (Zhao et al., CVPR 2022, arXiv:2203.08679)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.schedule import warmup_share
from distillery.methods.parts.similarity import other_classes, row_divergence
from distillery.models.base import Outputs


class DKD(Method):
    """KD split into the part of the true class and the part of all others, weighted apart.

    ``alpha * T^2 * KL(b_T || b_S) + beta * T^2 * KL(r_T || r_S)``, means over the batch: b is the
    probability of the true class against the rest, r the distribution over the other classes alone.
    Both are softened by T and taken in log space, so that a certain network does not underflow. The
    loss grows linearly over the first epochs.

    Extra memory at B = 64, C = 100: 150 kB kept for the backward pass, 280 kB at the peak.
    """

    title = "DKD"
    paper = Paper("Zhao et al.", "CVPR", 2022, "2203.08679")
    kind = "response"
    source = "Zhao et al. 2022; weight 1, beta 8, T = 4 and 20 epochs of warm-up from mdistiller"
    needs = frozenset({"logits"})
    weights = Weights(ce=1.0, method=1.0)

    class Options(FrozenModel):
        """Hyperparameters of DKD."""

        alpha: float = Field(default=1.0, ge=0)
        """Weight of the true class against the rest."""
        beta: float = Field(default=8.0, ge=0)
        """Weight of the other classes: published values are 8, 6 and 2, by pair of networks."""
        temperature: float = Field(default=4.0, gt=0)
        """T, softens all distributions; the loss is scaled by its square."""
        warmup_epochs: int = Field(default=20, ge=0)
        """Epochs until the loss has its full weight; 0 for the full weight from the start."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``target`` and ``others``, with their weights. Logits are (B, C)."""
        options = self.options
        target, others = dkd_losses(
            upcast(student.logits),
            upcast(teacher.logits),
            batch.labels,
            options.temperature,
        )
        warmup = warmup_share(batch.epoch, options.warmup_epochs)
        return {
            "target": warmup * options.alpha * target,
            "others": warmup * options.beta * others,
        }


def dkd_losses(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return the means () of both parts of ``dkd_divergences``, whose arguments these are.

    Logits are (B, C), labels (B,).
    """
    own, others = dkd_divergences(student_logits, teacher_logits, labels, temperature)
    return own.mean(), others.mean()


def dkd_divergences(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return the divergences of true-class and of other-class probabilities, times T^2.

    Args:
        student_logits: (B, C).
        teacher_logits: (B, C).
        labels: (B,) int64.
        temperature: T.

    Returns:
        Two tensors (B,).
    """
    splits = []
    for logits in (student_logits, teacher_logits):
        softened = logits / temperature
        rest = other_classes(softened, labels)
        own = softened.gather(1, labels[:, None])
        binary = torch.cat([own, rest.logsumexp(dim=1, keepdim=True)], dim=1)
        splits.append((binary, rest))
    (binary_s, rest_s), (binary_t, rest_t) = splits
    own = row_divergence(binary_s, binary_t, 1.0)
    others = row_divergence(rest_s, rest_t, 1.0)
    return own * temperature**2, others * temperature**2
