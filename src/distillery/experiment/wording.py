"""What a wrong value is called, in the words of whoever writes params files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from distillery.core.errors import UnknownName
from distillery.core.settings import ID_PATTERN

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Context = Mapping[str, Any]

_LIST = "must be a list, as [{}]"
_MAPPING = "must be keys with values below it"
_PATTERNS = {
    ID_PATTERN: "must be letters and digits, with single - or _ between them",
    r"^[0-9a-f]{64}$": "must be 64 hexadecimal digits, as sha256sum prints them",
}


# Of what was found, in characters.
_LONGEST = 100


def _counted(number: int) -> str:
    return f"{number} entry" if number == 1 else f"{number} entries"


_EXPECTED: dict[str, Callable[[Context], str]] = {
    "string_type": lambda _: "must be text",
    "string_pattern_mismatch": lambda context: _PATTERNS.get(
        context["pattern"], f"must match {context['pattern']}"
    ),
    "greater_than_equal": lambda context: f"must be at least {context['ge']}",
    "greater_than": lambda context: f"must be above {context['gt']}",
    "less_than_equal": lambda context: f"must be at most {context['le']}",
    "less_than": lambda context: f"must be below {context['lt']}",
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
    "too_short": lambda context: f"needs at least {_counted(context['min_length'])}",
    "too_long": lambda context: f"takes at most {_counted(context['max_length'])}",
    "dict_type": lambda _: _MAPPING,
    "model_type": lambda _: _MAPPING,
    "model_attributes_type": lambda _: _MAPPING,
}
_BY_KIND = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
}
_MIXES = (
    "there is none: a mixture of two images is no view of either, and the teacher cache has what "
    "the teacher says of each view of each image, not of mixtures; see docs/params.md"
)
# What users of other tools look for.
_EXCLUDED = dict.fromkeys(("mixup", "cutmix", "mixup_alpha", "cutmix_alpha"), _MIXES)
_LISTS = {"tuple_type", "list_type", "set_type"}


def expected(error: ErrorDetails) -> str:
    """Return what is wanted in the place of a wrong value."""
    kind, found = error["type"], error["input"]
    if kind in _LISTS:
        inside = found if isinstance(found, int | float | str) else "..."
        return _LIST.format(inside)
    if kind in _EXPECTED:
        return _EXPECTED[kind](error.get("ctx", {}))
    for prefix, words in _BY_KIND.items():
        if kind.startswith(f"{prefix}_"):
            return words
    message = error["msg"]
    return message[0].lower() + message[1:] if message else "invalid"


def explain(error: ErrorDetails) -> str:
    """Return one line for a pydantic error: what is wrong and what was found."""
    kind, found = error["type"], error["input"]
    if kind == "missing":
        return "is missing"
    excluded = kind == "unknown_key" and _EXCLUDED.get(error["ctx"]["key"])
    if excluded:
        return f"{error['ctx']['key']}: {excluded}"
    if kind in {"unknown_key", "value_error"}:
        message = error["msg"].removeprefix("Value error, ")
        return message[0].lower() + message[1:]
    if kind == "literal_error":
        names = error["ctx"]["expected"].replace(" or ", ", ").split(", ")
        return str(UnknownName("value", str(found), [name.strip("'") for name in names]))
    return f"found {shown(found)}; {expected(error)}"


def shown(value: Any) -> str:
    """Return what to call a value that was found."""
    if value is None or value in ({}, []):
        return "nothing"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
