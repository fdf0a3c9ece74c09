"""Settings of the teacher cache."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from distillery.core.settings import FrozenModel


class Views(FrozenModel):
    """Which augmented view of each image an epoch shows; the same for every method."""

    slots: int | None = Field(default=None, ge=1)
    """Number of augmented epochs before they repeat. When not given: all distinct views, or as
    many as the student has epochs if that is less."""
    seed: int = Field(default=0, ge=0)
    """Seed of the order in which each image meets its views."""


class Embeddings(Views):
    """The cache of a teacher's outputs under those views."""

    precision: Literal["half", "single"] = "half"
    """Storage of logits and embeddings."""


class ViewOrder(FrozenModel):
    """The same with nothing left open, as runs have it."""

    slots: int = Field(ge=1)
    """Number of augmented epochs before they repeat."""
    seed: int = Field(ge=0)
    """Seed of the order in which each image meets its views."""
