"""Normalised knowledge distillation (Yang et al., ICCV 2023, arXiv:2303.13005)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.similarity import other_classes
from distillery.models.base import Outputs


class NKD(Method):
    """Cross-entropies with the teacher for the true class, and among the other classes alone.

    ``target = -mean_i p_T[y_i] log p_S[y_i]`` with both probabilities at temperature 1, and
    ``others = -gamma * T^2 * mean_i sum_{c != y_i} q_T[c] log q_S[c]`` with q the softmax over the
    other classes' logits / T. They are cross-entropies, so equal networks have a loss above 0.

    The copy in SDD's repository keeps the true class in the second term, which is another loss:
    rows that are called NKD in its tables cannot be compared with this one.

    Extra memory at B = 64, C = 100: 130 kB kept for the backward pass, 210 kB at the peak.
    """

    title = "NKD"
    paper = Paper("Yang et al.", "ICCV", 2023, "2303.13005")
    kind = "response"
    disagreement = "SDD's copy keeps the target class in the second term; as the authors."
    source = "Yang et al. 2023; T = 1 and gamma 1.5 (ImageNet) from the authors' code"
    needs = frozenset({"logits"})
    weights = Weights(ce=1.0, method=1.0)

    class Options(FrozenModel):
        """Hyperparameters of NKD."""

        temperature: float = Field(default=1.0, gt=0)
        """T, softens the distributions over the other classes; the authors take 3 on CIFAR-100."""
        gamma: float = Field(default=1.5, ge=0)
        """Weight of the other classes; the authors take 3.5 on CIFAR-100."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``target`` and ``others``, with its weight. Logits are (B, C)."""
        options = self.options
        logits_s, logits_t = upcast(student.logits), upcast(teacher.logits)
        own = batch.labels[:, None]
        certainty = F.softmax(logits_t, dim=1).gather(1, own)
        target = -(certainty * F.log_softmax(logits_s, dim=1).gather(1, own)).mean()
        others_s, others_t = (
            other_classes(logits, batch.labels) / options.temperature
            for logits in (logits_s, logits_t)
        )
        others = torch.sum(F.softmax(others_t, dim=1) * F.log_softmax(others_s, dim=1), dim=1)
        return {
            "target": target,
            "others": -options.gamma * options.temperature**2 * others.mean(),
        }
