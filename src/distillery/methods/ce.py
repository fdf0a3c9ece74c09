"""The baseline: cross-entropy with the labels, no teacher."""

from __future__ import annotations

from torch import Tensor

from distillery.methods.base import Batch, Method, Weights
from distillery.models.base import Outputs


class CrossEntropy(Method):
    """No term of its own: the objective's cross-entropy is all there is."""

    title = "CE"
    source = "baseline without a teacher"
    weights = Weights(ce=1.0, kd=0.0, method=0.0)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return no term."""
        return {}
