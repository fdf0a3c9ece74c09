"""Sums over an epoch of what its steps log, kept on the device so that no step waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from distillery.training.distiller import StepOutput

IMAGES = "images"
"""Name of the number of images that was summed over."""
_LOSS = "loss"


class NotFinite(NamedTuple):
    """Where training went wrong.

    Attributes:
        term: name of the loss term, ``loss`` if it is none of the terms by itself.
        step: number of the step, from 0, among those that were added.
    """

    term: str
    step: int


class EpochSums:
    """Adds up loss, terms and correct answers, each step's in a single operation."""

    def __init__(self, begun: Mapping[str, float]) -> None:
        """Go on from the sums of an interrupted epoch, or from none."""
        self._begun = begun
        self._images = begun.get(IMAGES, 0.0)
        self._terms: Tensor | None = None
        self._names: list[str] = []
        self._correct: Tensor | None = None
        # Steps after which a sum was still finite: from then on it never is again.
        self._good: Tensor | None = None
        self.steps = 0

    def add(self, step: StepOutput, labels: Tensor) -> None:
        """Add what a step found for images with these labels (B,)."""
        values = {_LOSS: step.loss.detach(), **step.terms}
        if self._terms is None or self._good is None:
            self._names = list(values)
            sums = [self._begun.get(name, 0.0) for name in values]
            self._terms = torch.tensor(sums, dtype=torch.float64).to(labels.device)
            self._good = torch.zeros_like(self._terms)
        # The terms are means over the batch.
        self._terms.add_(torch.stack([*values.values()]), alpha=len(labels))
        self._good.add_(self._terms.isfinite())
        self.steps += 1
        self._images += len(labels)
        if step.logits is not None:
            correct = (step.logits.argmax(dim=1) == labels).sum()
            self._correct = correct if self._correct is None else self._correct + correct

    def read(self) -> dict[str, float]:
        """Return the sums by name, percent for the answers, and the number of images."""
        if self._terms is None:
            return dict(self._begun)
        sums = dict(zip(self._names, self._terms.tolist(), strict=True))
        if self._correct is not None:
            before = self._begun.get("train_top1", 0.0)
            sums["train_top1"] = before + 100.0 * self._correct.item()
        return {**sums, IMAGES: self._images}

    def not_finite(self) -> NotFinite | None:
        """Return the term that was the first not to be finite, or None if all are."""
        if self._good is None:
            return None
        good = dict(zip(self._names, self._good.tolist(), strict=True))
        step = int(min(good.values()))
        if step == self.steps:
            return None
        wrong = [name for name, count in good.items() if count == step and name != _LOSS]
        return NotFinite(next(iter(wrong), _LOSS), step)
