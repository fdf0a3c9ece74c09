"""Curriculum temperature (Li et al., AAAI 2023, arXiv:2211.16231)."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Losses, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.similarity import row_divergence
from distillery.models.base import Outputs


class CTKD(Method):
    """KD at a learned temperature that makes the task harder, more so from epoch to epoch.

    ``tau = start + range * sigmoid(g)`` with one trained scalar g (the paper's global version), and
    KD's loss at tau, with tau^2. The student minimises it while g climbs: the gradient of g is
    multiplied by ``-(1 - cos(pi * min(e, loops) / loops)) / 2`` for the epoch e from 1, which goes
    from 0 to -1. g is trained by the optimiser of the student, weight decay included.

    The diagnostic ``temperature`` is tau.

    Extra memory at B = 64, C = 100: 100 kB kept for the backward pass, 180 kB at the peak.
    """

    title = "CTKD"
    paper = Paper("Li et al.", "AAAI", 2023, "2211.16231")
    kind = "response"
    disagreement = "LSKD's copy swaps its two KL classes; as the authors."
    source = "Li et al. 2023; weights 0.1 CE + 0.9, range 20 and 10 loops from the authors' code"
    needs = frozenset({"logits"})
    weights = Weights(ce=0.1, method=0.9)

    class Options(FrozenModel):
        """Hyperparameters of CTKD."""

        start: float = Field(default=1.0, gt=0)
        """The lowest temperature."""
        range: float = Field(default=20.0, ge=0)
        """How far above it the temperature may be."""
        loops: int = Field(default=10, ge=1)
        """Epochs until the temperature has the full reversed gradient; 5 on ImageNet."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.position = nn.Parameter(torch.ones(1))

    def temperature(self, epoch: int) -> Tensor:
        """Return tau, a scalar (), for an epoch from 0, with the gradient that hardens the task."""
        progress = min(epoch + 1, self.options.loops) / self.options.loops
        position = _Scaled.apply(self.position, -(1 - math.cos(math.pi * progress)) / 2)
        share: Tensor = torch.sigmoid(position).squeeze()
        return share.mul(self.options.range).add(self.options.start)

    def losses(self, student: Outputs, teacher: Outputs, batch: Batch) -> Losses:
        """Return the term ``kd`` and the temperature. Logits have shape (B, C)."""
        temperature = self.temperature(batch.epoch)
        rows = row_divergence(upcast(student.logits), upcast(teacher.logits), temperature)
        return Losses({"kd": rows.mean()}, {"temperature": temperature.detach()})

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of ``losses``. Logits have shape (B, C)."""
        return self.losses(student, teacher, batch).terms


class _Scaled(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: float) -> Tensor:
        """Return the value (1,)."""
        ctx.factor = factor
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the scaled gradient (1,)."""
        return ctx.factor * gradient, None
