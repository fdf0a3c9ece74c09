"""How several teachers teach one student."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from distillery.models.base import Outputs
from distillery.training.settings import Combination


def combined(terms: Sequence[dict[str, Tensor]], combination: Combination) -> dict[str, Tensor]:
    """Return the mean or the sum over the teachers of each loss term, a scalar ().

    The sum over the teachers, each with its own heads and bank, is what the authors of CRD do
    (RepDistiller, issue 17); the mean keeps the weight of the method independent of their number.
    """
    if len(terms) == 1:
        return terms[0]
    factor = 1 / len(terms) if combination == "mean" else 1.0
    return {name: factor * torch.stack([each[name] for each in terms]).sum() for name in terms[0]}


def joint(teachers: Sequence[Outputs], temperature: float) -> Outputs:
    """Return several teachers as one.

    Its logits (B, C) are such that their softmax at ``temperature`` is the mean of the teachers'
    ones, and its embedding (B, sum of D) is that of all teachers side by side. Maps are left out.
    """
    if len(teachers) == 1:
        return teachers[0]
    log_shares = torch.stack([(each.logits / temperature).log_softmax(1) for each in teachers])
    return Outputs(
        temperature * (log_shares.logsumexp(0) - math.log(len(teachers))),
        torch.cat([each.embedding for each in teachers], dim=1),
    )
