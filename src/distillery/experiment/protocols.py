"""The section ``protocols``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from distillery.core.settings import FrozenModel, Id
from distillery.experiment.fields import Seeds


class ProtocolEntry(FrozenModel):
    """An evaluation protocol and what it is run on."""

    protocol: str | None = None
    """Name of the protocol; the entry's own id when not given."""
    title: str | None = None
    """Heading in the report; the protocol's title when not given."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the protocol."""
    pairs: tuple[Id, ...] | None = None
    """Ids of the pairs whose networks are evaluated; all when not given. None of them, `[]`, leaves
    the protocol to the ablations that name it."""
    methods: tuple[Id, ...] | None = None
    """Ids of the method entries whose students are evaluated; all when not given."""
    seeds: Seeds | None = None
    """Seeds of the students that are evaluated; all when not given."""

    def covers(self, pair: str, method: str, seed: int) -> bool:
        """Tell whether a student of the comparison is evaluated."""
        chosen = ((pair, self.pairs), (method, self.methods), (seed, self.seeds))
        return all(names is None or name in names for name, names in chosen)
