"""The section ``ablations``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from distillery.core.settings import FrozenModel, Id
from distillery.experiment.fields import Ids, Seeds


class Ablation(FrozenModel):
    """A base run and the axes to vary; every combination of their values is run."""

    pair: Ids
    """Id of the pair, or a list of several, which is an axis."""
    method: Ids
    """Id of the method entry that is varied, or a list of several, which is an axis."""
    vary: dict[str, Any] | list[dict[str, Any]] = Field(default_factory=dict)
    """Lists of values in the place of single values, nested as in a method entry, for example
    `options: {temperature: [1, 2, 4]}`: every combination is run. Or a list of variants with single
    values, for example `[{training: {batch_size: 128, lr: 0.1}}, ...]`, which are run as they are.
    """
    seeds: Seeds | None = None
    """Seeds; those of the pair when not given."""
    protocols: tuple[Id, ...] = ()
    """Entries of `protocols` that are run on every variant."""
    title: str | None = None
    """Caption in the report."""

    @property
    def pairs(self) -> tuple[str, ...]:
        """Ids of the pairs."""
        return (self.pair,) if isinstance(self.pair, str) else self.pair

    @property
    def methods(self) -> tuple[str, ...]:
        """Ids of the method entries."""
        return (self.method,) if isinstance(self.method, str) else self.method
