"""Logit standardisation (Sun et al., CVPR 2024, arXiv:2403.01427), around KD or DKD."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from distillery.core.conditions import OnlyWith
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.dkd import DKD
from distillery.methods.kd import KD
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs

# Keeps rows of equal logits finite, as in the authors' code.
_EPSILON = 1e-7


class LSKD(Method):
    """KD or DKD on logits that have mean 0 and standard deviation 1 in every sample.

    ``(z - mean(z)) / (std(z) + 1e-7)`` over the classes of a sample, for both networks, with the
    unbiased standard deviation as in the authors' code. The student's gradient passes through both
    statistics. Weights are those of KD; around DKD the authors scale alpha and beta by pair
    instead.

    Extra memory at B = 64, C = 100, around KD: 77 kB kept for the backward pass, 210 kB at the
    peak.
    """

    title = "LSKD"
    paper = Paper("Sun et al.", "CVPR", 2024, "2403.01427")
    kind = "response"
    source = "Sun et al. 2024; weights 0.1 CE + 9 KD and T = 2 from the authors' code"
    needs = frozenset({"logits"})
    weights = Weights(ce=0.1, kd=0.0, method=9.0)

    class Options(FrozenModel):
        """Hyperparameters of LSKD; those of DKD count for that base alone."""

        base: Literal["kd", "dkd"] = "kd"
        """The method that learns from the standardised logits."""
        temperature: float = Field(default=2.0, gt=0)
        """T of the base, in units of the standard deviation."""
        alpha: Annotated[float, OnlyWith("base", "dkd")] = Field(default=1.0, ge=0)
        """Of DKD: weight of the true class against the rest."""
        beta: Annotated[float, OnlyWith("base", "dkd")] = Field(default=8.0, ge=0)
        """Of DKD: weight of the other classes."""
        warmup_epochs: Annotated[int, OnlyWith("base", "dkd")] = Field(default=20, ge=0)
        """Of DKD: epochs until the loss has its full weight."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.base: Method
        if options.base == "kd":
            self.base = KD(KD.Options(temperature=options.temperature), context)
        else:
            self.base = DKD(
                DKD.Options(
                    alpha=options.alpha,
                    beta=options.beta,
                    temperature=options.temperature,
                    warmup_epochs=options.warmup_epochs,
                ),
                context,
            )

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the base. Logits have shape (B, C)."""
        terms: dict[str, Tensor] = self.base(
            student._replace(logits=standardise(student.logits)),
            teacher._replace(logits=standardise(teacher.logits)),
            batch,
        )
        return terms


def standardise(logits: Tensor) -> Tensor:
    """Return logits (B, C) with mean 0 and standard deviation 1 in every row."""
    logits = upcast(logits)
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (logits.std(dim=1, keepdim=True) + _EPSILON)
