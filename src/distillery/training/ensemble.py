"""Distilling from several teachers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from distillery.methods.base import Batch, Method, Pretraining
from distillery.models.base import Outputs


class Ensemble(Method):
    """One copy of a method for each teacher; their terms are averaged or added up.

    The sum over the teachers, each with its own heads and bank, is what the authors of CRD do
    (RepDistiller, issue 17); the mean keeps the weight of the method independent of their number.
    """

    def __init__(self, members: Sequence[Method], combination: Literal["mean", "sum"]) -> None:
        nn.Module.__init__(self)
        first = members[0]
        self.members = nn.ModuleList(members)
        self.options, self.diagnostics = first.options, {}
        # Properties of the copies, which are alike.
        self.needs, self.n_views = first.needs, first.n_views  # type: ignore[misc]
        self.couples_batch = first.couples_batch  # type: ignore[misc]
        self._factor = 1 / len(members) if combination == "mean" else 1.0

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the method; those of one name are combined."""
        terms = [
            member(student, each, batch)
            for member, each in zip(self.members, _teachers(teacher), strict=True)
        ]
        self.diagnostics = self._methods[0].diagnostics
        return self._combined(terms)

    def block_hook(self, block: Tensor) -> tuple[Tensor, ...]:
        """Return what the copies keep of a block, which is the same for all."""
        return self._methods[0].block_hook(block)

    def after_step(self) -> None:
        """Update the state of every copy."""
        for member in self._methods:
            member.after_step()

    def make_views(self, images: Tensor) -> Tensor:
        """Return the versions of each image."""
        return self._methods[0].make_views(images)

    def pretraining(self) -> Pretraining | None:
        """Return the stage that comes first, the same for all copies."""
        return self._methods[0].pretraining()

    def pretrain(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the first stage."""
        is_alone = student is teacher
        return self._combined(
            [
                member.pretrain(each if is_alone else student, each, batch)
                for member, each in zip(self._methods, _teachers(teacher), strict=True)
            ]
        )

    def finish_pretraining(self) -> None:
        """Freeze what only the first stage trains."""
        for member in self._methods:
            member.finish_pretraining()

    @property
    def _methods(self) -> list[Method]:
        return list(self.members)  # type: ignore[arg-type]

    def _combined(self, terms: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {
            name: self._factor * torch.stack([each[name] for each in terms]).sum()
            for name in terms[0]
        }


def joint(teacher: Outputs, temperature: float) -> Outputs:
    """Return an ensemble as one teacher.

    Its logits are such that their softmax at ``temperature`` is the mean of the teachers' ones,
    and its embedding is that of all teachers side by side. Maps are left out.
    """
    teachers = _teachers(teacher)
    if len(teachers) == 1:
        return teacher
    log_shares = torch.stack([(each.logits / temperature).log_softmax(1) for each in teachers])
    return Outputs(
        temperature * (log_shares.logsumexp(0) - math.log(len(teachers))),
        torch.cat([each.embedding for each in teachers], dim=1),
    )


def _teachers(teacher: Outputs) -> tuple[Outputs, ...]:
    return (teacher, *teacher.others)
