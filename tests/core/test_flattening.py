from __future__ import annotations

from distillery.core.flattening import flattened


def test_nested_settings_get_dotted_names() -> None:
    nested = {"a": 1, "b": {"c": {"d": [1, 2]}, "e": {}}, "f": None}
    assert flattened(nested) == {"a": 1, "b.c.d": [1, 2], "b.e": {}, "f": None}
