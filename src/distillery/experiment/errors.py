"""Mistakes in a params file: where they are, and the one line that says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from distillery.core.errors import UnknownName
from distillery.core.settings import FrozenModel

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]
"""Keys and numbers that lead to a setting of the params file."""

Model = TypeVar("Model", bound=FrozenModel)


class ParamsError(Exception):
    """A semantic error at a key path; whoever knows the file adds its name."""

    def __init__(self, path: KeyPath, message: str) -> None:
        super().__init__(message)
        self.path = path


def validated(model: type[Model], values: Mapping[str, Any], path: KeyPath) -> Model:
    """Validate ``values``, which the params file has at ``path``.

    Raises:
        ParamsError: the first mistake, at its own path below ``path``.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ParamsError((*path, *first["loc"]), explain(first)) from None


def format_problem(file: Path, path: KeyPath, message: str) -> str:
    """Return the one line that names file, key path and problem."""
    keys = ""
    for part in path:
        keys += f"[{part}]" if isinstance(part, int) else f".{part}" if keys else part
    return f"{file}: {keys}: {message}" if keys else f"{file}: {message}"


def explain(error: ErrorDetails) -> str:
    """Return one line for a pydantic error: what is wrong and what was found."""
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message else "invalid"
    if error["type"] in {"unknown_key", "missing", "value_error"}:
        return message
    found = error["input"]
    if error["type"] == "literal_error":
        allowed = [
            name.strip("'") for name in error["ctx"]["expected"].replace(" or ", ", ").split(", ")
        ]
        return str(UnknownName("value", str(found), allowed))
    shown = repr(found) if not isinstance(found, dict | list) else type(found).__name__
    return f"found {shown}; {message}"
