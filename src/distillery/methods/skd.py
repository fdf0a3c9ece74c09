"""Streamlined knowledge distillation (Jeong et al., CVPR 2026), as torchdistill reads it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.similarity import row_divergence
from distillery.models.base import Outputs


class SKD(Method):
    """KD without the square of T, and the direction in which the batch's similarities differ.

    With D the difference (B, B) of the Gram matrices of unit logits, student less teacher:
    ``direction = mean_i sqrt(D_i (cov(D) + lambda I)^-1 D_i^T)``, the covariance being that of the
    rows of D. The gradient also flows through the covariance.

    torchdistill's reading, without cross-entropy. A file that seems to be the authors' divides the
    Gram matrices by the number of classes, masks by medians as MLKD does, and adds cross-entropy: a
    different loss.

    Extra memory at B = 64, C = 100: 160 kB kept for the backward pass, 230 kB at the peak.
    """

    title = "SKD"
    paper = Paper("Jeong et al.", "CVPR", 2026)
    kind = "relation"
    disagreement = (
        "A file that seems to be the authors' scales and masks otherwise; as torchdistill."
    )
    source = "Jeong et al. 2026; T = 4, lambda 0.1 and no cross-entropy from torchdistill"
    needs = frozenset({"logits"})
    weights = Weights(ce=0.0, method=1.0)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of SKD."""

        temperature: float = Field(default=4.0, gt=0)
        """T of the instances' term, which is not scaled by its square."""
        ridge: float = Field(default=0.1, gt=0)
        """Lambda, added to the diagonal of the covariance."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``instance`` and ``direction``. Logits have shape (B, C)."""
        logits_s, logits_t = upcast(student.logits), upcast(teacher.logits)
        temperature = self.options.temperature
        rows = row_divergence(logits_s, logits_t, temperature)
        return {
            "instance": rows.mean() / temperature**2,
            "direction": direction_distance(logits_s, logits_t, self.options.ridge),
        }


def direction_distance(student: Tensor, teacher: Tensor, ridge: float) -> Tensor:
    """Return the mean Mahalanobis length of the rows of the Gram matrices' difference, ().

    A row without any difference has length 0, and a gradient of 0 rather than none.

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        ridge: added to the diagonal of the covariance.
    """
    first, second = F.normalize(student, dim=1), F.normalize(teacher, dim=1)
    apart = first @ first.T - second @ second.T
    images = len(apart)
    centred = apart - apart.mean(dim=0)
    covariance = centred.T @ centred / max(images - 1, 1)
    covariance = covariance + ridge * torch.eye(images, dtype=apart.dtype, device=apart.device)
    squares = (apart * torch.linalg.solve(covariance, apart.T).T).sum(dim=1)
    differs = squares > 0
    lengths = torch.where(differs, squares, 1.0).sqrt()
    return torch.where(differs, lengths, 0.0).mean()
