"""Transformed teacher matching (Zheng and Yang, ICLR 2024, arXiv:2402.11148)."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs


class TTM(Method):
    """``KL(p_T^g / sum p_T^g || p_S)``, mean over the batch, with the student at temperature 1.

    Raising the teacher's probabilities to a power g is softening its logits by 1 / g; that the
    student stays at temperature 1, and that there is no square of a temperature, is what sets it
    apart from KD.

    Extra memory at B = 64, C = 100: 51 kB kept for the backward pass, 130 kB at the peak.
    """

    title = "TTM"
    paper = Paper("Zheng and Yang", "ICLR", 2024, "2402.11148")
    kind = "response"
    source = (
        "Zheng and Yang 2024; exponent 0.1 and weight 45 from the example of the authors' code "
        "(vgg13 -> vgg8); values of other pairs are not in it"
    )
    needs = frozenset({"logits"})
    weights = Weights(ce=1.0, method=45.0)

    class Options(FrozenModel):
        """Hyperparameters of TTM."""

        exponent: float = Field(default=0.1, gt=0, le=1)
        """g, the power of the teacher's probabilities; 1 leaves them as they are."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``match``. Logits have shape (B, C)."""
        divergences = transformed_divergence(student.logits, teacher.logits, self.options.exponent)
        return {"match": divergences.mean()}


def transformed_divergence(student: Tensor, teacher: Tensor, exponent: float) -> Tensor:
    """Return ``KL(p_T^g / sum p_T^g || p_S)`` of each row.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        exponent: g.

    Returns:
        (B,).
    """
    divergence = F.kl_div(
        F.log_softmax(upcast(student), dim=1),
        F.log_softmax(exponent * upcast(teacher), dim=1),
        reduction="none",
        log_target=True,
    )
    return divergence.sum(dim=1)
