"""The section ``report``."""

from __future__ import annotations

from distillery.core.settings import FrozenModel, Id


class Claim(FrozenModel):
    """What the experiment is to show: that one method is better than another."""

    better: Id
    """Method entry that is said to be better."""
    worse: Id
    """Method entry that it is said to be better than."""
    text: str | None = None
    """The claim in words; "better > worse" with the names of both when not given."""


class Report(FrozenModel):
    """What the report shows and where it goes."""

    folder: str | None = None
    """Folder of the report; reports/<name> when not given."""
    timings: bool = True
    """Whether tables show measured time and memory; leave them out of committed reports."""
    baseline: Id = "ce"
    """Method entry that gains are measured from."""
    claims: tuple[Claim, ...] = ()
    """Claims that the report tests, over all pairs that both methods are run for."""
