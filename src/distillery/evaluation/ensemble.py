"""Distillation from several teachers: what each further one brings.

CRD (Tian et al. 2020, arXiv:1910.10699) distils ensembles of teachers, with a loss for each. Its
set-up is not published in detail: the numbers of teachers varied here are this project's.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from distillery.core.settings import FrozenModel
from distillery.evaluation.base import Study

Count = Annotated[int, Field(ge=1)]


class EnsembleSize(Study):
    """Students of one teacher, two, four and six."""

    title = "Ensembles of teachers"

    class Options(FrozenModel):
        """Options of the study."""

        teachers: tuple[Count, ...] = Field(default=(1, 2, 4, 6), min_length=1)
        """Numbers of teachers: the first so many of those that the pair names."""

        @field_validator("teachers")
        @classmethod
        def _distinct(cls, teachers: tuple[int, ...]) -> tuple[int, ...]:
            if len(set(teachers)) < len(teachers):
                raise ValueError("a number of teachers is named twice")
            return teachers

    options: Options

    def vary(self) -> dict[str, Any]:
        """Return the axis of the study."""
        return {"teachers": list(self.options.teachers)}
