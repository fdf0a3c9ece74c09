"""What a plan knows of a data set before it is prepared."""

from __future__ import annotations

from typing import Any

from distillery.core.settings import FrozenModel
from distillery.data.info import Part


class Card(FrozenModel):
    """What raw data hold."""

    classes: tuple[str, ...]
    """Names of the classes, by label."""
    per_class: dict[Part, tuple[int, ...]]
    """Images of each class in each part."""
    channels: int | None
    """1 or 3; None where that is not known before all images are read."""
    notes: tuple[str, ...] = ()
    """What was found, drawn and left out, a line each."""


class Whereabouts(FrozenModel):
    """How raw data are found again and compared, without what reads them.

    So a plan that is kept needs none of the modules that read images.
    """

    source: str
    """Id of the source."""
    path: str | None
    """File or folder that the user named."""
    places: tuple[str, ...]
    """Names that the raw data may have, relative to the folders of raw data."""
    sha256: str | None
    """Checksum that the raw archive must have."""
    unused: tuple[str, ...]
    """Names of files that are not read."""
    downloaded: bool
    """Whether their authors' checksums are known."""
    is_looked_at: bool
    """Whether what they hold is known only after a look."""
    reading: dict[str, Any]
    """What becomes of them; see ``Source.reading``."""
    outside: dict[str, str]
    """See ``Source.outside``."""


class Look(FrozenModel):
    """What a plan knows of a data set."""

    contents: str | None
    """Digest of the raw files; see ``PrepareSettings``."""
    card: Card | None = None
    """What they hold, where that is not known of the source anyway."""
    is_here: bool = True
    """Whether they are there."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever plans should know of them, a line each."""
        of_card = self.card.notes if self.card else ()
        if self.is_here:
            return of_card
        gone = "its raw files are not here; those count from which it was prepared last"
        return (gone if self.card or self.contents else "its raw files are not here yet", *of_card)
