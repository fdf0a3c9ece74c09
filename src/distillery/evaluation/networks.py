"""How trained networks were trained, whichever stage made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery.training.settings import DistillationSettings, NetworkSettings

_OF_STAGE: Mapping[str, type[NetworkSettings]] = {
    "train-teacher": NetworkSettings,
    "train-student": DistillationSettings,
}


def settings_of_training(stage: str, settings: Mapping[str, Any]) -> NetworkSettings | None:
    """Return the settings of a run that trained a network; None if it imported one."""
    kind = _OF_STAGE.get(stage)
    return kind.model_validate(settings) if kind else None
