"""Settings in several layers."""

from __future__ import annotations

import pytest

from distillery.core.settings import FrozenModel
from distillery.experiment.errors import ParamsError
from distillery.planning.merging import deep_merged, last_given, merged


class Pixels(FrozenModel):
    height: int = 1
    width: int = 1


class PixelsOverride(FrozenModel):
    height: int | None = None
    width: int | None = None


def test_only_fields_that_are_set_replace_others() -> None:
    layers = [PixelsOverride(height=2, width=2), PixelsOverride(height=3)]
    assert merged(Pixels(), layers, ()) == Pixels(height=3, width=2)


def test_what_is_merged_is_validated_at_its_path() -> None:
    with pytest.raises(ParamsError) as error:
        merged(Pixels(), [PixelsOverride(width=None)], ("pairs", "p"))
    assert error.value.path == ("pairs", "p", "width")


def test_groups_of_options_are_merged_and_others_replaced() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}
    assert deep_merged(base, {"a": {"c": [3]}, "d": 2}) == {"a": {"b": 1, "c": [3]}, "d": 2}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}


def test_the_last_value_that_is_given_counts() -> None:
    assert last_given([1, 0, None]) == 0
    assert last_given([None]) is None
