"""What all settings have in common: strict, immutable, and identified by readable ids."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from distillery.core.errors import UnknownName


class FrozenModel(BaseModel):
    """Base of every settings class: unknown keys are errors, and values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        """Name the nearest valid key, which pydantic's own error does not."""
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    message = str(UnknownName("key", str(key), cls.model_fields))
                    raise PydanticCustomError(
                        "unknown_key", "{text}", {"text": message, "key": key}
                    )
        return values


# Ids carry no dots, because DVC addresses params by dotted paths, and are so short that what is
# named after several of them is still a file's name.
ID_PATTERN = r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=64)]
