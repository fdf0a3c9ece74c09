"""Sections that set single fields of other settings, and leave the rest alone."""

from __future__ import annotations

from typing import Any

from pydantic import Field, create_model

from distillery.core.settings import FrozenModel
from distillery.data.settings import Split
from distillery.methods.base import Weights
from distillery.training.settings import Training


def _partial(model: type[FrozenModel]) -> Any:
    """Return a class with the fields of ``model``, all optional."""
    fields: dict[str, Any] = {
        name: (field.annotation | None, Field(default=None, description=field.description))  # type: ignore[operator]
        for name, field in model.model_fields.items()
    }
    return create_model(f"{model.__name__}Override", __base__=FrozenModel, **fields)


class TrainingOverride(_partial(Training)):  # type: ignore[misc]
    """What differs in the training settings."""


class SplitOverride(_partial(Split)):  # type: ignore[misc]
    """What differs in the split of the data."""


class WeightsOverride(_partial(Weights)):  # type: ignore[misc]
    """What differs in the weights of the objective."""
