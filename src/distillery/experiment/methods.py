"""The section ``methods``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from distillery.core.settings import FrozenModel, Id
from distillery.experiment.overrides import SplitOverride, TrainingOverride, WeightsOverride
from distillery.training.settings import Combination


class MethodOverride(FrozenModel):
    """What differs for a method in one pair or one variant of an ablation."""

    weights: WeightsOverride = WeightsOverride()
    """Weights of the objective."""
    kd_temperature: float | None = Field(default=None, gt=0)
    """Temperature of the additional KD term."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Hyperparameters of the method."""
    training: TrainingOverride = TrainingOverride()
    """Training settings of the student."""
    split: SplitOverride = SplitOverride()
    """What differs in the student's split of the data."""
    teachers: int | None = Field(default=None, ge=1)
    """How many of the pair's teachers teach, beginning with the first; all when not given."""
    ensemble: Combination | None = None
    """How several teachers teach: `mean` or `sum` of the losses of each, or `joint`: as one teacher
    with the mean of their probabilities, softened as in the loss that compares them, and with all
    their embeddings side by side. The mean when not given."""


class MethodEntry(MethodOverride):
    """One row of the comparison: a method with its weights and hyperparameters."""

    method: str | None = None
    """Name of the method; the entry's own id when not given."""
    title: str | None = None
    """Name in tables and figures; the method's title when not given."""
    pairs: tuple[Id, ...] | None = None
    """Ids of the pairs that it is compared for; all when not given. None of them, `[]`, leaves it
    to ablations and studies."""
