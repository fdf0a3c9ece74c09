"""Knowledge distillation with softened logits (Hinton et al. 2015, arXiv:1503.02531)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.similarity import row_divergence
from distillery.models.base import Outputs


class KD(Method):
    """``T^2 * KL(softmax(teacher / T) || softmax(student / T))``, mean over the batch.

    Extra memory: three (B, C) arrays, 77 kB at B = 64, C = 100.
    """

    title = "KD"
    paper = Paper("Hinton et al.", "arXiv", 2015, "1503.02531")
    kind = "response"
    source = "Hinton et al. 2015; weights 0.1 CE + 0.9 KD and T = 4 from RepDistiller"
    needs = frozenset({"logits"})
    weights = Weights(ce=0.1, kd=0.0, method=0.9)

    class Options(FrozenModel):
        """Hyperparameters of KD."""

        temperature: float = Field(default=4.0, gt=0)
        """Softens both distributions; the loss is scaled by its square."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``kd``. Logits have shape (B, C)."""
        rows = row_divergence(student.logits, teacher.logits, self.options.temperature)
        return {"kd": rows.mean()}
