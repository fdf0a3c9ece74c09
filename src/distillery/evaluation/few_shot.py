"""Distillation with a part of the training images.

The study of CRD's successors, HSAKD (Yang et al. 2021, arXiv:2107.13715) among them: students learn
from 25, 50, 75 and 100 % of each class's images, the same ones for all methods, for as many epochs,
from a teacher that has seen them all.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from distillery.core.settings import FrozenModel
from distillery.evaluation.base import Study

Fraction = Annotated[float, Field(gt=0, le=1)]


class FewShot(Study):
    """Students of a part of the training images."""

    title = "Few-shot distillation"

    class Options(FrozenModel):
        """Options of the study."""

        fractions: tuple[Fraction, ...] = Field(default=(0.25, 0.5, 0.75, 1.0), min_length=1)
        """Shares of each class's training images. The seed of the data set's `split` draws them."""

        @field_validator("fractions")
        @classmethod
        def _distinct(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
            if len(set(fractions)) < len(fractions):
                raise ValueError("a fraction is named twice")
            return fractions

    options: Options

    def vary(self) -> dict[str, Any]:
        """Return the axis of the study."""
        return {"split": {"fraction": list(self.options.fractions)}}
