"""Mistakes in a params file: where they are, and the one line that says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import ValidationError

from distillery.core.settings import FrozenModel
from distillery.experiment.wording import expected, explain

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]
"""Keys and numbers that lead to a setting of the params file."""

Model = TypeVar("Model", bound=FrozenModel)


def path_of_data(data_set: str) -> KeyPath:
    """Return where a params file has a data set; the experiment's own has an empty id."""
    return ("datasets", data_set) if data_set else ("data",)


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
        problem = first_problem(error, values)
        raise ParamsError((*path, *problem.path), problem.message) from None


class Problem(NamedTuple):
    """The first mistake of several.

    Attributes:
        path: where it is.
        message: what it is.
        others: how many more there are.
    """

    path: KeyPath
    message: str
    others: int


def first_problem(error: ValidationError, content: Any) -> Problem:
    """Return the first mistake that pydantic has found in ``content``.

    Where a value may be of several kinds, pydantic complains once for each: of these the mistake
    that lies deepest is meant, and if it is the value itself, it may be any of them.
    """
    found = [(_path(each, content), each) for each in error.errors()]
    top = found[0][0]
    inside = [(path, each) for path, each in found if path[: len(top)] == top]
    deepest = max((path for path, _ in inside), key=len)
    first, *same = [each for path, each in inside if path == deepest]
    message = explain(first)
    alternatives = [expected(each) for each in same if each["input"] == first["input"]]
    message += "".join(f", or {words}" for words in dict.fromkeys(alternatives))
    return Problem(deepest, message, len({path for path, _ in found if path[: len(top)] != top}))


def _path(error: ErrorDetails, content: Any) -> KeyPath:
    """Return where a mistake is: pydantic's path without the names of kinds among the keys."""
    path: list[str | int] = []
    for number, part in enumerate(error["loc"], start=1):
        is_missing = error["type"] == "missing" and number == len(error["loc"])
        if _has(content, part):
            content = content[part]
        elif not is_missing:
            continue
        path.append(part)
    return tuple(path)


def _has(content: Any, part: str | int) -> bool:
    if isinstance(content, list):
        return isinstance(part, int) and part < len(content)
    return isinstance(content, dict) and part in content


def format_problem(file: Path | str, path: KeyPath, message: str) -> str:
    """Return the one line that names file, key path and problem."""
    keys = ""
    for part in path:
        keys += f"[{part}]" if isinstance(part, int) else f".{part}" if keys else part
    return f"{file}: {keys}: {message}" if keys else f"{file}: {message}"
