"""What the settings of every run that ends in a network have in common, trained or imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distillery.core.settings import FrozenModel

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact
    from distillery.runs.run import Run


class Architecture(FrozenModel):
    """Which network it is, and what it sees of the images."""

    arch: str
    """Name of the architecture."""
    channels: tuple[int, ...] | None = None
    """Indices of the channels of the images that the network sees; None for all."""


def architecture_of(trained: Artifact | Run) -> Architecture:
    """Read it from a run of any stage that ends in a network."""
    settings = trained.settings
    return Architecture(
        **{name: settings[name] for name in Architecture.model_fields if name in settings}
    )
