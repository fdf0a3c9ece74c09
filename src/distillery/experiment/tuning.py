"""The section ``tuning``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from distillery.core.settings import FrozenModel, Id
from distillery.experiment.fields import Ids, Seed, Seeds
from distillery.experiment.overrides import TrainingOverride


class Search(FrozenModel):
    """Which settings of a method entry are tried."""

    vary: dict[str, Any] | list[dict[str, Any]]
    """Lists of values, or ranges, in the place of single values of `options`, `weights`,
    `training` and `kd_temperature`. Without `trials` every combination of the lists is tried; a
    list of variants with single values is tried as it is. Ranges are `{uniform: [0.1, 2]}`,
    `{log-uniform: [0.01, 1]}`, `{int: [1, 8]}` and `{choice: [a, b]}`."""
    trials: int | None = Field(default=None, ge=2)
    """Number of trials: the entry as it stands, and random draws."""


class Tuning(FrozenModel):
    """Trials on held-out training images that decide settings of method entries.

    The entry as it stands is always the first trial.
    """

    pair: Ids
    """Id of the pair that is tuned on, whose choice all pairs follow; or a list of pairs that are
    tuned on their own, the first of which decides for those that are not in it."""
    methods: dict[Id, Search] = Field(min_length=1)
    """What is tried, by method entry."""
    trials: int | None = Field(default=None, ge=2)
    """Number of trials of those entries that do not have their own."""
    seeds: Seeds = (0,)
    """Seeds of every trial; the mean over them counts."""
    held_out: float = Field(default=0.2, gt=0, lt=1)
    """Share of each class's training images that trials do not learn from and are measured on."""
    teachers: Literal["without-held-out", "final"] = "without-held-out"
    """Who teaches in the trials: teachers of the same settings that have not seen the held-out
    images, or those of the final students, which have."""
    training: TrainingOverride = TrainingOverride()
    """What differs in the training of all trials, for example fewer epochs."""
    seed: Seed = 0
    """Seed of the random draws."""

    @property
    def pairs(self) -> tuple[str, ...]:
        """Ids of the pairs that are tuned on."""
        return (self.pair,) if isinstance(self.pair, str) else self.pair

    def tuned_on(self, pair: str) -> str:
        """Return the pair whose choice a pair follows: itself, or the first that is tuned on."""
        return pair if pair in self.pairs else self.pairs[0]
