"""Merges settings that are given in several layers, the last of which wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from distillery.core.settings import FrozenModel
from distillery.experiment.errors import KeyPath, validated

Model = TypeVar("Model", bound=FrozenModel)
Value = TypeVar("Value")


def merged(base: Model, overrides: Iterable[FrozenModel], path: KeyPath) -> Model:
    """Return ``base`` with the fields that the overrides set, validated again.

    Args:
        base: complete settings.
        overrides: settings of which single fields are set, the strongest last.
        path: where the params file has them: a ``ParamsError`` if they do not fit together.
    """
    values = base.model_dump()
    for override in overrides:
        values.update(override.model_dump(exclude_unset=True))
    return validated(type(base), values, path)


def deep_merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which groups of options are merged too."""
    result = dict(base)
    for name, value in override.items():
        old: Any = result.get(name)
        is_group = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = deep_merged(old, value) if is_group else value
    return result


def last_given(values: Iterable[Value | None]) -> Value | None:
    """Return the last value that is not None; None when there is none."""
    return next((value for value in reversed([*values]) if value is not None), None)
