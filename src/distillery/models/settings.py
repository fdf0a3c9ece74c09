"""What the settings of every run that ends in a network have in common, trained or imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact
    from distillery.runs.run import Run

_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0, le=10)]


class Normalisation(FrozenModel):
    """What pixels between 0 and 1 are normalised with before a network sees them."""

    mean: tuple[_Share, ...] = Field(min_length=1)
    """Subtracted from each channel."""
    std: tuple[_Positive, ...] = Field(min_length=1)
    """Each channel is divided by it afterwards."""

    @model_validator(mode="after")
    def _of_the_same_channels(self) -> Normalisation:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"{len(self.mean)} means and {len(self.std)} std; one for each channel"
            )
        return self


class Architecture(FrozenModel):
    """Which network it is, and what it sees of the images."""

    arch: str
    """Name of the architecture."""
    channels: tuple[int, ...] | None = None
    """Indices of the channels of the images that the network sees; None for all."""
    normalisation: Normalisation | None = None
    """Its own, of the channels that it sees; None for that of the data set."""
    source: str | None = None
    """SHA-256 of the code of a network of one's own; None for any other."""

    def seen(self, info: DataSetInfo) -> DataSetInfo:
        """Return the description of a data set as the network sees it."""
        seen = info.of_channels(self.channels)
        own = self.normalisation
        return seen.model_copy(update={"mean": own.mean, "std": own.std}) if own else seen


def architecture_of(trained: Artifact | Run) -> Architecture:
    """Read it from a run of any stage that ends in a network."""
    settings = trained.settings
    return Architecture.model_validate(
        {name: settings[name] for name in Architecture.model_fields if name in settings}
    )
