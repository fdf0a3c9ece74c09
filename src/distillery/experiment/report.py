"""The section ``report``."""

from __future__ import annotations

from distillery.core.settings import FrozenModel, Id


class Report(FrozenModel):
    """What the report shows and where it goes."""

    folder: str | None = None
    """Folder of the report; reports/<name> when not given."""
    timings: bool = True
    """Whether tables show measured time and memory; leave them out of committed reports."""
    baseline: Id = "ce"
    """Method entry that gains are measured from."""
