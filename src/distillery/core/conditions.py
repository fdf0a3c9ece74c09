"""Where a setting has an effect: declared beside the setting, for whoever reads a params file.

A field of settings says by an annotation on which other field it depends, as in
``gamma: Annotated[float, OnlyWith("variant", "kernel")] = 0.4``. Names are dotted from the
outermost settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class OnlyWith:
    """A setting that counts only where another one has one of some values."""

    name: str
    values: tuple[Any, ...]

    def __init__(self, name: str, *values: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", values)

    def unmet(self, settings: BaseModel) -> str:
        """Return why the setting does not count; empty if it does."""
        found = attrgetter(self.name)(settings)
        if any(found == value and type(found) is type(value) for value in self.values):
            return ""
        return f"it counts only with {self.name}: {', '.join(map(str, self.values))}"


@dataclass(frozen=True)
class NotWith:
    """A setting that does not count where another one has this value."""

    name: str
    value: Any

    def unmet(self, settings: BaseModel) -> str:
        """Return why the setting does not count; empty if it does."""
        found = attrgetter(self.name)(settings)
        return f"it does not count with {self.name}: {found}" if found == self.value else ""


def why_idle(settings: BaseModel, name: str) -> str:
    """Return why a setting has no effect; empty if it has.

    Args:
        settings: complete settings, the outermost.
        name: dotted name of one of them, or of a group.
    """
    return next(filter(None, (each.unmet(settings) for each in _conditions(settings, name))), "")


def _conditions(settings: BaseModel, name: str) -> Iterator[OnlyWith | NotWith]:
    """Yield the conditions of a setting and of the groups that it is in."""
    group: Any = settings
    for part in name.split("."):
        field = type(group).model_fields.get(part) if isinstance(group, BaseModel) else None
        if field is None:
            return
        yield from (each for each in field.metadata if isinstance(each, OnlyWith | NotWith))
        group = getattr(group, part)
