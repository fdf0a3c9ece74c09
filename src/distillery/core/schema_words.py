"""Says in words what a JSON Schema allows, for the pages that are made from settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_KINDS = {
    "boolean": "true or false",
    "integer": "integer",
    "number": "number",
    "string": "text",
    "null": "null",
    "object": "mapping",
    "array": "list",
}
_BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
# Of more names than these, another page has the list.
_FEW_NAMES = 12


def allowed(schema: Mapping[str, Any]) -> str:
    """Say in words what a value may be, for example ``number > 0 or null``."""
    match schema:
        case {"anyOf": choices}:
            return " or ".join(dict.fromkeys(map(allowed, choices)))
        case {"enum": choices} if len(choices) > _FEW_NAMES:
            return f"one of {len(choices)} names"
        case {"enum": choices}:
            return ", ".join(map(written, choices))
        case {"const": choice}:
            return written(choice)
        case {"$ref": reference}:
            return definition(reference)
        case {"type": "array", "items": {"type": "string"}}:
            return "list of names"
        case {"type": "array", "items": items}:
            item = allowed(items)
            return f"list, each {item}" if " " in item else f"list of {item}s"
        case {"type": "array", "prefixItems": items}:
            return f"list of {len(items)}: {', '.join(map(allowed, items))}"
        case {"patternProperties": values}:
            return f"by id: {allowed(next(iter(values.values())))}"
    if "type" not in schema:
        return "any value"
    limits = [f"{sign} {written(schema[key])}" for key, sign in _BOUNDS.items() if key in schema]
    return f"{_KINDS[schema['type']]} {', '.join(limits)}".strip()


def definition(reference: str) -> str:
    """Return the name that a reference to a definition leads to."""
    return reference.rpartition("/")[2]


def written(value: Any) -> str:
    """Return a value as it is written in a params file."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key}: {written(item)}" for key, item in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(written(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
