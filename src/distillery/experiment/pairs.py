"""The section ``pairs``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from distillery.core.settings import FrozenModel, Id
from distillery.experiment.fields import Channels, Seeds
from distillery.experiment.methods import MethodOverride
from distillery.experiment.overrides import TrainingOverride


class Pair(FrozenModel):
    """A teacher and a student architecture."""

    teacher: Id | Annotated[tuple[Id, ...], Field(min_length=1)]
    """Id of one of the teachers, or a list of several that teach together."""
    student: str
    """Architecture of the student."""
    channels: Channels | None = None
    """Places of the channels of the images that the student sees; all when not given."""
    training: TrainingOverride = TrainingOverride()
    """What differs in the student's training (for example lr 0.01 for mobile networks)."""
    methods: dict[Id, MethodOverride] = Field(default_factory=dict)
    """What differs in single methods for this pair."""
    only: tuple[Id, ...] | None = None
    """Method entries that are run for this pair; all when not given. None of them, `[]`, leaves the
    pair to ablations and studies."""
    without: tuple[Id, ...] = ()
    """Method entries that are not run for this pair: gaps in its column of the tables."""
    seeds: Seeds | None = None
    """Seeds of this pair's students; the experiment's when not given."""

    @property
    def teachers(self) -> tuple[str, ...]:
        """Ids of the teachers."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher

    def runs(self, entry: str) -> bool:
        """Tell whether a method entry is run for this pair."""
        return entry not in self.without and (self.only is None or entry in self.only)

    @model_validator(mode="after")
    def _overrides_are_run(self) -> Pair:
        for entry in self.methods:
            if entry in self.without:
                raise ValueError(f"'{entry}' is both in methods and in without")
        return self
