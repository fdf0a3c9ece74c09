"""The stage ``evaluate``: run a protocol on a finished network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from distillery.core.settings import FrozenModel
from distillery.evaluation import registry
from distillery.evaluation.base import Protocol

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace


class Settings(FrozenModel):
    """Settings of the stage."""

    protocol: str
    """Name of the protocol."""
    options: dict[str, Any]
    """Its options, all of them."""

    @model_validator(mode="after")
    def _complete_options(self) -> Settings:
        """Read the options as the protocol does: what an old run lacks has its default of today."""
        options = registry.load(self.protocol).Options.model_validate(self.options)
        object.__setattr__(self, "options", options.model_dump(mode="json"))
        return self


def run(work: Workspace) -> None:
    """Run the protocol on the inputs ``network``, ``teacher``, ``prepared`` and its own ones.

    Raises:
        TypeError: it is a study, which trains networks instead.
    """
    settings = Settings.model_validate(work.run.settings)
    protocol = registry.load(settings.protocol).configured(settings.options)
    if not isinstance(protocol, Protocol):
        raise TypeError(f"'{settings.protocol}' is a study")
    protocol.run(work)
