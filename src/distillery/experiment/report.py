"""The section ``report``."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

from distillery.core.settings import FrozenModel, Id

# Where something else lies, which a report would overwrite.
_TAKEN = ("benchmarks", "data", "docs", "logs", "params", "profiles", "src", "tests", "workflow")


def _inside(folder: str) -> str:
    """Demand a folder of the checkout: reports are written into it, and old files removed.

    Raises:
        ValueError: it is none, or one for something else.
    """
    parts = PurePosixPath(folder).parts
    outside = not parts or parts[0] == "/" or ".." in parts
    # What hides, quotes or ends lines; two dashes stand for a slash in the name of a marker.
    strange = any(part.startswith((".", "-")) for part in parts) or "--" in folder
    if outside or strange or not folder.isprintable() or parts[0] in _TAKEN:
        raise ValueError(
            f"found {folder!r}; allowed is a folder of this checkout, such as reports/mine, that "
            f"is none of {', '.join(_TAKEN)}"
        )
    return folder


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

    folder: Annotated[str, AfterValidator(_inside)] | None = None
    """Folder of the report; reports/<name> when not given."""
    timings: bool = True
    """Whether tables show measured time and memory; leave them out of committed reports."""
    baseline: Id = "ce"
    """Method entry that gains are measured from."""
    claims: tuple[Claim, ...] = ()
    """Claims that the report tests, over all pairs that both methods are run for."""
